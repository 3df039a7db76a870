"""An action's code as files."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

from openwhisk_local.state.entities import CodeExec


def write_code(code_exec: CodeExec, folder: Path) -> None:
    """Write an action's code into a folder as `main__.py`, unpacked if it is a zip file.

    Without code that Python can find in the folder, the process says so.

    Args:
        code_exec: The action's `exec` part.
        folder: Where it goes.
    """
    code = code_exec.code.encode()
    if code_exec.binary:
        code = base64.b64decode(code)
    if not zipfile.is_zipfile(io.BytesIO(code)):
        (folder / "main__.py").write_bytes(code)
        return
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        archive.extractall(folder)
    for name in ("exec", "__main__.py"):
        if (folder / name).is_file():
            (folder / name).rename(folder / "main__.py")
