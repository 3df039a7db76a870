"""From whatever people have to numbers: sources, columns, preprocessing, shards."""
