"""Initial weights, drawn by NumPy from (spec, seed), so that both frameworks start from the same values."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from common.model.layers import BatchNorm, Conv, GroupNorm
from common.model.spec import ModelSpec

_PURPOSE = 0x1417  # keeps these draws apart from those of the order and the augmentation


def initial(spec: ModelSpec, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights and statistics before training, by canonical name, float32.

    fan-in-uniform: kernels and biases from U(-b, b), b = 1 / sqrt(fan in) (the default of PyTorch's layers).
    xavier-uniform: kernels from U(-b, b), b = sqrt(6 / (fan in + fan out)) (Glorot and Bengio, 2010), biases
    zero. A normalisation starts as the identity: weight 1, bias 0, mean 0, variance 1.
    """
    random = np.random.default_rng([_PURPOSE, seed])
    arrays: dict[str, NDArray[np.float64]] = {}
    for node in spec.leaves():
        if isinstance(node.layer, BatchNorm | GroupNorm):
            ones, zeros = np.ones(node.input_shape[0]), np.zeros(node.input_shape[0])
            # Weight and bias unless affine=False; running mean and variance in batch normalisation.
            arrays |= zip(node.weights, (ones, zeros), strict=False)
            arrays |= zip(node.statistics, (zeros, ones), strict=False)
            continue
        for name, shape in node.weights.items():
            kernel = next(iter(node.weights.values()))
            fan_in = prod(kernel[1:])
            if spec.init == "fan-in-uniform":
                bound = 1 / sqrt(fan_in)
            else:
                # As torch.nn.init counts it: outputs a weight of one input channel reaches, groups ignored.
                fan_out = kernel[0] * (prod(kernel[2:]) if isinstance(node.layer, Conv) else 1)
                bound = sqrt(6 / (fan_in + fan_out)) if name.endswith(".weight") else 0.0
            arrays[name] = random.uniform(-bound, bound, shape)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def perturbed(state: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """`state` with each value one unit in the last place larger: a start that differs by rounding alone."""
    return {name: np.nextafter(array, np.float32(np.inf)) for name, array in state.items()}
