"""Answering with trained models: the catalogue of models, the cache of loaded ones, decisions and their plain words."""

from __future__ import annotations
