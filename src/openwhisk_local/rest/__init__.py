"""The REST API below `/api/v1/namespaces`: one module per collection."""
