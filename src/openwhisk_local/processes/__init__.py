"""The processes that run actions: one module for all of them, one for one, one for what runs in it."""
