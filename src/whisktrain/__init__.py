"""Train deep-learning models as serverless functions on Apache OpenWhisk."""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
