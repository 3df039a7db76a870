"""Web actions, below `/api/v1/web`."""
