"""Where a PyTorch and a Keras model part: compared stage by stage, each difference with its cause."""
