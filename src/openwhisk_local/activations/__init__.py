"""What happens when an action is invoked or a trigger fired, and the records of it."""
