"""Errors of the user's own model code name the line that raised them."""

from __future__ import annotations

from pathlib import Path

import learning_rig as rig
import numpy as np
import pytest

from whisktrain.errors import RequestError, TrainingError
from whisktrain.learning import KerasLearner, backend
from whisktrain.spec import Rows, Work

SOURCE = b"""import keras

def units(classes):
    return {3: 3}[classes]

def build(x_shape, classes):
    return keras.Sequential([keras.Input(x_shape), keras.layers.Dense(units(classes))])

def narrow(x_shape, classes):
    given = keras.Input(x_shape)
    return keras.Model(given, keras.layers.Conv2D(2, 3)(given))
"""


def refusal(factory: str, source: bytes) -> str:
    spec = rig.spec_of({"factory": f"model.py:{factory}", "file": "upload:x"})
    with pytest.raises(RequestError) as caught:
        KerasLearner().build(spec, {"factory": source})
    assert caught.value.__cause__ is not None
    return caught.value.message


def test_the_line_of_a_model_py_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISKTRAIN_EMBEDDED", "1")
    message = refusal("build", SOURCE)
    assert message.startswith("the factory model.py:build failed: KeyError: 4")
    assert "(model.py, line 4, in units: return {3: 3}[classes])" in message
    assert "(model.py, line 11, in narrow: return keras.Model(" in refusal("narrow", SOURCE)
    assert "model.py failed: NameError" in refusal("build", b"x = 1\ny = z\n")
    assert "(model.py, line 2, in <module>: y = z)" in refusal("build", b"x = 1\ny = z\n")
    assert "(model.py, line 1: def build(:)" in refusal("build", b"def build(:\n")


FACTORY = """
import keras

@keras.saving.register_keras_serializable(package="whisktrain_test_lines")
class Odd(keras.layers.Layer):
    calls = 0
    most = 0

    def call(self, x):
        Odd.calls += 1
        if Odd.calls > Odd.most:
            raise OSError("no \x1b[1msuch\x1b[0m thing")
        return x

def build(x_shape, classes):
    return keras.Sequential([keras.Input(x_shape), Odd(), keras.layers.Dense(classes, activation="softmax")])
"""


def test_the_line_of_a_layer_is_shown_where_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.keras()
    (tmp_path / "whisktrain_test_lines.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("WHISKTRAIN_FACTORIES", "whisktrain_test_lines:build")
    import whisktrain_test_lines  # type: ignore[import-not-found]

    spec = rig.spec_of({"factory": "whisktrain_test_lines:build"})
    line = 'whisktrain_test_lines.py, line 12, in call: raise OSError("no'
    with pytest.raises(RequestError, match=r"failed: OSError: .*no such thing") as caught:
        KerasLearner().build(spec, {})
    assert line in caught.value.message
    whisktrain_test_lines.Odd.most = 1000
    built, opened = rig.open_of(spec)
    rows = rig.data((6,), 4)
    whisktrain_test_lines.Odd.most = 0
    work = Work(1, 0, "train", 0, (np.arange(5),))
    with pytest.raises(TrainingError, match="on shard 0 in round 1: OSError") as later:
        opened.contribute(built.params, work, rows, Rows(rows.x[:0], rows.y[:0]))
    assert line in later.value.message
