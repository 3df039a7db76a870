"""Compute on opened models: gradient sums, local optimizer steps and evaluation."""

from __future__ import annotations
