"""The scripted platform, for every test of this room."""

from ..openwhisk.scripted_platform import key, platform

__all__ = ["key", "platform"]
