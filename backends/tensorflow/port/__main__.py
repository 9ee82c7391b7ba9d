"""`python -m backends.tensorflow.port`: answer requests of common.port about one Keras model at a time."""

from __future__ import annotations

import os
import sys

sys.path.append(sys.path.pop(0))  # the current folder: its files shadow no module of a library
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from backends.tensorflow.port.session import Session
from common import messages

if __name__ == "__main__":
    messages.serve(Session().verbs())
