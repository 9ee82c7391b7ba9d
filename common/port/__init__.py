"""Comparison of a PyTorch and a Keras model, stage by stage: each difference with its cause."""
