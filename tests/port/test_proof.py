"""A few of the planted mistakes of `python -m common.bench ports`: stage and cause are right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ports import saved

from common.bench.ports import BATCH_SIZE, planted
from common.bench.proof import changes
from common.bench.proof.catalogue import MUTANTS
from common.bench.proof.networks import written
from common.bench.proof.source import Sources, sources
from common.frameworks import PAIR
from common.model import BatchNorm, Conv, Dense, Entry, GlobalAvgPool, ModelSpec
from common.model.zoo import ZOO
from common.port.check import Question
from common.port.run import compare
from common.port.workers import Workers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as both:
        yield both


def files(folder: Path, texts: Sources) -> tuple[str, str]:
    """The addresses of both files."""
    return saved(folder, texts.left, texts.right)


@pytest.mark.parametrize(
    "model, name, side",
    [
        ("subclassed", "padding-same-stride", 0),
        ("grouped", "pooling-padding-max", 0),
        ("nextjournal", "flatten-order", 0),
        ("smallest", "gelu-approximation", 0),
        ("tf-model-1", "images-transposed", 1),
        ("subclassed", "padding-same-stride", 1),
        ("subclassed", "focal-loss", 0),
        ("residual", "pooling-padding-average", 0),
        ("grouped", "layernorm-epsilon", 1),
        ("tf-model-1", "gradient-clipping", 0),
        ("tf-model-1", "loss-broadcast", 1),
        ("nextjournal", "flatten-order", 1),
        ("nextjournal", "dropout-channels", 0),
    ],
)
def test_a_planted_mistake_is_found(
    workers: Workers, tmp_path: Path, model: str, name: str, side: int
) -> None:
    (mutant,) = (m for m in MUTANTS if (m.name, m.framework) == (name, PAIR[side]))
    texts = planted(model, mutant)
    assert texts
    left, right = files(tmp_path, texts)
    question = Question(left=left, right=right, precisions=("float64",), batch_size=BATCH_SIZE)
    findings = [finding for finding in compare(workers, question).findings if not finding.inherent]
    assert {finding.cause for finding in findings} == {mutant.cause}
    assert findings[0].stage in mutant.stages


def test_adams_bias_correction_in_single_precision_is_rounding(workers: Workers, tmp_path: Path) -> None:
    texts = written("grouped")
    assert texts
    left, right = files(tmp_path, texts)
    report = compare(workers, Question(left=left, right=right))
    assert report.agree
    assert {finding.cause for finding in report.findings} == {"optimizer-epsilon-place"}


def test_a_rounded_constant_that_shows_in_training_alone_is_no_difference(
    workers: Workers, tmp_path: Path
) -> None:
    """Keras holds GELU's in single precision; in inference the last layers here get tiny values."""
    texts = written("smallest", changes.with_function("gelu"))
    assert texts
    left, right = files(tmp_path, texts)
    question = Question(left=left, right=right, precisions=("float64",), batch_size=BATCH_SIZE)
    report = compare(workers, question)
    assert report.agree


def test_batch_norm_without_scale_and_shift_is_the_same_in_both_files(
    workers: Workers, tmp_path: Path
) -> None:
    layers = (Conv(4, 3), BatchNorm(affine=False), GlobalAvgPool(), Dense(10))
    texts = sources(Entry(ModelSpec("plain-norm", layers), ZOO["smallest"].recipe))
    left, right = files(tmp_path, texts)
    report = compare(
        workers, Question(left=left, right=right, precisions=("float64",), batch_size=BATCH_SIZE)
    )
    assert report.agree
    assert "center=False, scale=False" in texts.right
