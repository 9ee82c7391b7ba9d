"""The command line of a script in the tests' own process, with a model that learns nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.recorder import Recorder, RecorderBackend

from common.cli import main as command
from common.data.datasets import Dataset

Main = Callable[..., int]


@pytest.fixture
def main(mnist: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """Run the command line on a model that learns nothing; its exit status. Rows go to `results`."""

    def call(*words: str, model: Recorder | None = None, results: bool = True) -> int:
        monkeypatch.setattr(RecorderBackend, "model", model or Recorder())
        folder = ["--results", str(tmp_path / "results")] if results else []
        invocation = command.parse_arguments("pytorch", [*folder, *words])
        with pytest.raises(SystemExit) as exit_:
            command.main(RecorderBackend, invocation)
        assert isinstance(exit_.value.code, int)
        return exit_.value.code

    return call
