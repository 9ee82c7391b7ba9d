"""The networks in docs/examples, which a user copies."""

from __future__ import annotations

import pytest
from support.networks import EXAMPLES

from common.model.entry import Entry

PARAMETERS = {
    "lenet5": 156 + 2_416 + 48_120 + 10_164 + 850,
    "mobilenet": 9_034,
    "resnet": 77_754,
}
"""Trained values; LeNet-5's are those of the paper's layers with full connections."""


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.name)
def test_an_example_has_its_parameters(entry: Entry) -> None:
    assert entry.spec.parameters == PARAMETERS[entry.name]


def test_there_is_an_example_for_each_count() -> None:
    assert {entry.name for entry in EXAMPLES} == set(PARAMETERS)
