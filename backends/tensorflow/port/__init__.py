"""The Keras half of common.port, a process of its own: loads a model, records and repeats what it does."""
