"""The version that the host reports."""

__version__ = "0.1.0"
