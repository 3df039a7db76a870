"""Answer with trained models: the catalogue, the cache of loaded models, decisions, and their description in words."""

from __future__ import annotations
