"""The rules of the protocol, pure: when a round may close, what comes next, capacity, timeouts, scores."""
