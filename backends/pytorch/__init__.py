"""What the PyTorch script needs beside its page."""
