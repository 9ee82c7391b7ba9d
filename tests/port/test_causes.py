"""The line that mends a difference exists in its library, and says the right direction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.port_operations import operation

from common.port import causes


def activation(function: str, **attributes: Any) -> causes.Operation:
    return operation(0, "activation", attributes={"function": function, **attributes})


@pytest.mark.parametrize(
    "left, pytorch, keras",
    [
        (activation("relu"), "nn.ReLU()", 'keras.layers.Activation("relu")'),
        (activation("hardswish"), "nn.Hardswish()", 'keras.layers.Activation("hard_swish")'),
        (activation("hardtanh"), "nn.Hardtanh()", 'keras.layers.Activation("hard_tanh")'),
        (
            activation("leaky_relu", slope=0.01),
            "nn.LeakyReLU(0.01)",
            "keras.layers.LeakyReLU(negative_slope=0.01)",
        ),
        (
            activation("gelu", approximate=True),
            'nn.GELU(approximate="tanh")',
            "keras.activations.gelu(x, approximate=True)",
        ),
        (activation("gelu", approximate=False), "nn.GELU()", 'keras.layers.Activation("gelu")'),
        (None, "no activation here", "no activation here"),
    ],
)
def test_an_activation_is_named_as_its_library_does(
    left: causes.Operation | None, pytorch: str, keras: str
) -> None:
    assert causes.fix("activation", left, left) == {"pytorch": pytorch, "keras": keras}


@pytest.mark.parametrize("kind, name", [("batchnorm", "center"), ("dense", "use_bias")])
def test_a_bias_is_where_the_weights_have_one(kind: str, name: str) -> None:
    with_bias, without = (operation(0, kind, weights={"weight": [4], **bias}) for bias in ({"bias": [4]}, {}))
    assert causes.fix("missing-bias", with_bias, without) == {
        "pytorch": "bias=False",
        "keras": f"{name}=True",
    }
    assert causes.fix("missing-bias", without, with_bias) == {
        "pytorch": "bias=True",
        "keras": f"{name}=False",
    }


def test_a_norm_of_features_is_that_of_vectors() -> None:
    left, right = (
        operation(0, "batchnorm", attributes={"epsilon": epsilon, "momentum": momentum})
        for epsilon, momentum in ((1e-5, None), (1e-3, 0.01))
    )
    assert left.inputs.shape == np.zeros((2, 4)).shape
    assert causes.fix("batchnorm-epsilon", left, right)["pytorch"] == "nn.BatchNorm1d(..., eps=0.001)"
    assert "1 - 1 / n at the n-th batch" in causes.fix("batchnorm-momentum", left, right)["keras"]
