"""Build Keras models from their sources, describe their tensors, and refuse what cannot be merged."""

from __future__ import annotations
