"""Remove from site-packages what running never needs: headers, test suites, and parts of Arrow that talk to clouds."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

SITE = Path(sysconfig.get_paths()["purelib"])
FOLDERS = [
    "tensorflow/include",
    "tensorflow/xla_aot_runtime_src",
    "pyarrow/include",
    "pyarrow/tests",
    "pandas/tests",
    "numpy/_core/include",
]
SUITES = ("numpy", "scipy", "sklearn", "h5py", "keras")


def main() -> None:
    """Delete, and say how much was won."""
    doomed = [SITE / folder for folder in FOLDERS if (SITE / folder).is_dir()]
    for package in SUITES:
        doomed += [path for path in (SITE / package).rglob("tests") if path.is_dir()]
    won = sum(f.stat().st_size for path in doomed for f in path.rglob("*") if f.is_file())
    for path in doomed:
        shutil.rmtree(path, ignore_errors=True)
    print(f"{len(doomed)} folders removed, {won / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
