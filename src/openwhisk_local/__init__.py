"""An OpenWhisk-compatible host for one machine.

`Host` serves the OpenWhisk REST API on loopback and runs actions in warm sub-processes that speak the real Python action
loop's line protocol, so that `wsk`, `wskdeploy` and the official JavaScript client work against it unmodified.

    rest.py          the front door: requests in, answers out; one module per collection behind it
    registry.py      actions, packages, triggers, rules: pure state
    invoke.py        the life of an activation; sequences.py and conductor.py compose them; triggers.py fires rules
    pool.py          warm processes within the machine's memory; processes.py one process; launcher.py the process itself
    web.py           web actions

Where it differs from OpenWhisk, on purpose:

- No containers: code of every Python 3 kind, and of `blackbox` actions whatever their image, runs in this interpreter.
- Entities and records are in memory; there is one namespace, no API gateway and no API browser.
- A run-time time-out is answered at once, not after 12 s; standard error is kept in the logs.
- Memory is what no file backs, looked at every half second; a container's limit is enforced by the kernel.
- Of a result that is too large the error shows the first 1024 characters.
- Who has waited for a process for 2 s is not overtaken, and an action larger than the machine is refused at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openwhisk_local.limits import Limits as Limits
    from openwhisk_local.server import Host as Host

__all__ = ["Host", "Limits"]


def __getattr__(name: str) -> Any:
    """Import the host only when it is asked for: the launcher lives in this package and must stay light."""
    if name == "Host":
        from openwhisk_local.server import Host

        return Host
    if name == "Limits":
        from openwhisk_local.limits import Limits

        return Limits
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
