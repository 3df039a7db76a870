"""The three stages of the flow, each readable from top to bottom: preprocess, train, predict."""
