"""PyTorch's parts of the benchmark."""
