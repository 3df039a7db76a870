"""Column types and cell values: what a cell says, what kind of column it is, which column is the target."""
