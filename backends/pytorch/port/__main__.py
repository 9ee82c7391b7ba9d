"""`python -m backends.pytorch.port`: answer requests of common.port about one PyTorch model at a time."""

from __future__ import annotations

import sys

sys.path.append(sys.path.pop(0))  # the current folder: its files shadow no module of a library

from backends.pytorch.port.session import Session
from common import messages

if __name__ == "__main__":
    messages.serve(Session().verbs())
