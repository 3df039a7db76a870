"""What a run is in the store: its documents as values, and every read and write of them."""
