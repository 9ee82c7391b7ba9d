"""What the TensorFlow script needs beside its page."""
