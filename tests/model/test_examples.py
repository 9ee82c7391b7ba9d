"""The networks in docs/examples, which a user copies, and the one of the layers that the zoo lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args

import pytest
from support.networks import EXAMPLES, VOCABULARY

from common.model.entry import Entry
from common.model.layers import Activation, Function
from common.model.spec import Layer, Node
from common.model.zoo import ENTRIES


def inside(nodes: Iterable[Node]) -> Iterator[Layer]:
    """The layers of nodes, and those inside them."""
    for node in nodes:
        yield node.layer
        for branch in node.branches:
            yield from inside(branch)


PARAMETERS = {
    "lenet5": 156 + 2_416 + 48_120 + 10_164 + 850,
    "mobilenet": 9_034,
    "resnet": 77_754,
}
"""Trained values; LeNet-5's are those of the paper's layers with full connections."""


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.name)
def test_an_example_has_its_parameters(entry: Entry) -> None:
    assert entry.spec.parameters == PARAMETERS[entry.name]


def test_every_kind_and_function_is_trained_in_both_frameworks() -> None:
    """For 100 steps in double precision (tests/backends/test_parity.py)."""
    layers = [layer for entry in (*ENTRIES, VOCABULARY) for layer in inside(entry.spec.nodes())]
    assert {type(layer) for layer in layers} == set(get_args(Layer))
    functions = {layer.function for layer in layers if isinstance(layer, Activation)}
    assert functions == set(get_args(Function))


def test_there_is_an_example_for_each_count() -> None:
    assert {entry.name for entry in EXAMPLES} == set(PARAMETERS)
