"""A whole training of digits: our rounds against Keras alone in one process, in the same run, on the same machine.

    python benchmarks/training.py [WORKERS]

Distribution has a price on one small machine; this says how much, and where the time goes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

EPOCHS = 20


def keras_alone() -> float:
    """Seconds of `fit` with the preset's shape, without the import and the first epoch's tracing."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")[:1438]
    hidden: list[Any] = [
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
    ]
    model = keras.Sequential(
        [keras.Input((64,)), *hidden, keras.layers.Dense(10, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y[:1438], batch_size=64, epochs=1, verbose=0)
    started = time.perf_counter()
    model.fit(x, y[:1438], batch_size=64, epochs=EPOCHS, verbose=0)
    return time.perf_counter() - started


def ours(workers: int) -> dict[str, Any]:
    """The result of the same training through host, store and functions, twice; the second time everything is warm."""
    import whisktrain

    with tempfile.TemporaryDirectory() as home, whisktrain.connect(home=home) as here:
        options = {"workers": workers, "epochs": EPOCHS, "name": "bench"}
        cold = here.train("digits", model="mlp", **options)
        warm = here.train("digits", model="mlp", **options)
    return {"cold": cold, "warm": warm}


def main() -> None:
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    found = ours(workers)
    alone = keras_alone()
    rounds = found["warm"]["rounds"]
    print(f"digits, mlp, {EPOCHS} epochs of batch 64, {workers} workers, {rounds} rounds")
    print(f"  Keras alone       {alone:6.2f} s  {1000 * alone / rounds:6.2f} ms a step   1.0")
    for name in ("cold", "warm"):
        seconds, ms = found[name]["seconds"], found[name]["round_ms"]["p50"]
        print(
            f"  whisktrain {name}   {seconds:6.2f} s  {ms:6.2f} ms a round  {seconds / alone:.1f}"
        )


if __name__ == "__main__":
    main()
