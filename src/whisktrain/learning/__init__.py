"""What a worker computes: models, gradient sums, local steps, evaluation. The only room that imports Keras."""

from __future__ import annotations

from whisktrain.learning.learner import KerasLearner

__all__ = ["KerasLearner"]
