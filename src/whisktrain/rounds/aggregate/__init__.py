"""AGGREGATE: closes rounds and ends runs (steps A1 to A9, FINISH and SWEEP)."""

from whisktrain.rounds.aggregate.activation import AggregateResult, serve

__all__ = ["AggregateResult", "serve"]
