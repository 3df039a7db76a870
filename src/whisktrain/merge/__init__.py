"""The merge of a round in NumPy: gradients, optimizers, learning-rate schedules, weight constraints."""
