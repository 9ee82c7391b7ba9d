"""The command line of pytorch.py and tf.py, and its modes."""
