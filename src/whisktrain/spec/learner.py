"""The interface of a learner, by which the rounds build and run models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from whisktrain.spec.contribution import Contribution
from whisktrain.spec.model import Blueprint, Built
from whisktrain.spec.plan import Spec
from whisktrain.spec.work import Rows, Work
from whisktrain.tensors import Tensors

__all__ = ["Learner", "OpenModel"]


class OpenModel(Protocol):
    """A model ready to compute; reused for many rounds and any shard."""

    def contribute(self, params: Tensors, work: Work, rows: Rows, validation: Rows) -> Contribution:
        """Compute one shard's part of one round.

        Args:
            params: The round's starting tensors.
            work: What to do.
            rows: The shard's training rows.
            validation: The shard's validation slice (maybe without rows).

        Raises:
            Diverged: A loss or gradient is not finite.
        """


class Learner(Protocol):
    """Builds and opens models: Keras in production."""

    def build(self, spec: Spec, files: Mapping[str, bytes]) -> Built:
        """Make the model and its first tensors, seeded by `spec.seed` alone.

        Args:
            spec: The plan.
            files: What `spec.model` refers to: `{"file": bytes}` for an uploaded .keras, `{"factory": bytes}` for a model.py,
                `{"init": bytes, "config": bytes}` for an earlier model's tensors and configuration.
        """

    def open(self, spec: Spec, blueprint: Blueprint) -> OpenModel:
        """Prepare a model for computing (compile once, reuse)."""
