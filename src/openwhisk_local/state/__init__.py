"""What the host holds: entities, their names and parameters."""
