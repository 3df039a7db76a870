"""Validation split and shards: which row goes where, and how shards are stored."""
