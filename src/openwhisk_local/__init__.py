"""An OpenWhisk for one machine: the REST API on loopback, actions in warm sub-processes.

`wsk`, `wskdeploy` and the official JavaScript client work against it unmodified. README.md in this folder says how to use
it, how it is built and where it differs from OpenWhisk.
"""

from openwhisk_local.errors import HostError
from openwhisk_local.host import Host
from openwhisk_local.limits import Limits

__all__ = ["Host", "HostError", "Limits"]
