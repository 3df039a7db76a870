"""The round protocol: what is open, who computes what, when a round closes, what comes next, and how a run ends."""
