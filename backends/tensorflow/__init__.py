"""TensorFlow's parts of the benchmark."""
