"""The scripted platform, for every test of this room."""

from .scripted_platform import key, platform

__all__ = ["key", "platform"]
