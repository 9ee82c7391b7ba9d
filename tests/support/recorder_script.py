"""pytorch.py with a model that learns nothing instead of PyTorch: for faults of the machinery around it."""

from __future__ import annotations

from common.cli.main import main, parse_arguments

arguments = parse_arguments("pytorch") if __name__ == "__main__" else None

from support.recorder import RecorderBackend  # noqa: E402

if arguments is not None:
    main(RecorderBackend, arguments)
