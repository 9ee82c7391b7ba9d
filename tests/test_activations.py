"""A function is identified by what it computes."""

from __future__ import annotations

import numpy as np
import pytest

from common.activations import ELEMENTWISE, gelu, identify, log_softmax, softmax


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_known_function_is_identified(name: str) -> None:
    assert identify(lambda x: np.float32(ELEMENTWISE[name](x))) == {"function": name}


def test_functions_with_parameters_are_identified() -> None:
    assert identify(lambda x: np.where(x > 0, x, 0.3 * x)) == {"function": "leaky_relu", "slope": 0.3}
    for approximate in (True, False):
        found = identify(lambda x, a=approximate: gelu(x, approximate=a))
        assert found == {"function": "gelu", "approximate": approximate}
    assert identify(softmax) == {"function": "softmax"}
    assert identify(log_softmax) == {"function": "log_softmax"}


def test_other_functions_are_not() -> None:
    assert identify(lambda x: np.sin(x)) is None
    assert identify(lambda x: x[:, :3]) is None
    assert identify(lambda x: x.missing) is None
