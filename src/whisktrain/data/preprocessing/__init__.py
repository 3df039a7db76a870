"""Preprocessing: impute, scale, one-hot encode; fitted on training rows, stored, and applied again when predicting."""
