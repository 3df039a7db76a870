"""The Keras learner: models, gradient sums, local steps, evaluation. Nothing else in whisktrain imports Keras."""

from __future__ import annotations

from whisktrain.learning.learner import KerasLearner

__all__ = ["KerasLearner"]
