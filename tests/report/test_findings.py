"""The sentences with which sections of benchmarks.md open are of the right rows."""

from __future__ import annotations

from pathlib import Path

from support.tables import add_run

from common.analysis import frames, pooling
from common.report import findings


def test_the_most_accurate_network_is_that_of_the_highest_mean_of_a_framework(tmp_path: Path) -> None:
    add_run(tmp_path, "best", "pytorch", accuracy=99.7)
    add_run(tmp_path, "best", "tensorflow", accuracy=99.5)
    for framework in ("pytorch", "tensorflow"):
        add_run(tmp_path, "smallest", framework, accuracy=99.6)
    groups = pooling.groups(frames.read(tmp_path).runs)
    assert findings.most_accurate(groups) == (
        "The most accurate of 2 networks is `best`: 99.70 % (n=1) in PyTorch, 99.50 % (n=1) in TensorFlow."
    )
