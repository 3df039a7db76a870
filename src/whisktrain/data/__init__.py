"""From a source of data to shards: reading, column typing, preprocessing, sharding."""
