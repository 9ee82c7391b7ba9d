"""What pytorch.py and tf.py can be asked to do."""
