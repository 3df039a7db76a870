"""WORKER: computes one slot's shards of the open round and, while its lease lasts, of later rounds (steps W1 to W6)."""

from whisktrain.rounds.worker.activation import WorkerResult, serve

__all__ = ["WorkerResult", "serve"]
