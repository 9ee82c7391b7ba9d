"""`bench misclassified` prints the test images that most runs of a network and framework get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_run, digits

from common.bench import __main__ as bench
from common.bench import misclassified


def test_images_that_most_runs_get_wrong_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(misclassified, "load", lambda name, **options: digits())
    wrong = [{3: 5, 14: 9}, {3: 8, 25: 2}, {3: 5, 25: 2}]
    for seed, errors in enumerate(wrong, start=1):
        add_run(tmp_path, seed=seed, errors=errors)
    add_run(tmp_path, framework="tensorflow", errors={40: 1})
    add_run(tmp_path, model="under-8k", errors={77: 1})
    words = ["misclassified", "--models", "tf-model-1", "--count", "2", "--results", str(tmp_path)]
    assert bench.main(words) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| `tf-model-1` | PyTorch | 3 | 3 | 3 of 3 runs | 5 (2), 8 (1) |",
        "| `tf-model-1` | PyTorch | 25 | 5 | 2 of 3 runs | 2 (2) |",
        "| `tf-model-1` | TensorFlow | 40 | 0 | 1 of 1 runs | 1 (1) |",
    ]
    assert bench.main(["misclassified", "--models", "best", "--results", str(tmp_path)]) == 0
    assert "no recorded runs" in capsys.readouterr().out
