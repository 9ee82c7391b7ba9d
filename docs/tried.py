"""Small networks that were tried for `under-2k` and `under-700`; results/trials.csv has their rows.

    python -m common.bench run --models docs/tried.py:LINEAR --frameworks pytorch --validation 10000

All have a first convolution and three depthwise separable ones. A pooling after the first and after the
second leaves 3x3 maps. Instead of the mean of each map they end in a depthwise convolution of the map's
size, so that each channel has a weight for each position.
"""

from dataclasses import replace
from itertools import pairwise

from common.model import Activation, BatchNorm, Conv, Entry, Flatten, MaxPool, ModelSpec
from common.model.zoo import ZOO

RECIPE = replace(ZOO["smallest"].recipe, epochs=10)
NORM = BatchNorm(affine=False)
RELU = Activation()


def conv(channels, kernel_size, *, activation=RELU, order="bias", pool=(), **settings):
    """A convolution: with a bias, an activation, a pooling and normalisation; with normalisation before the
    activation; or linear, without either."""
    kernel = Conv(channels, kernel_size, bias=order == "bias", **settings)
    match order:
        case "bias":
            return kernel, activation, *pool, NORM
        case "norm first":
            return kernel, NORM, activation
        case "linear":
            return (kernel,)


def depthwise(channels, kernels=(3,), *, order="linear", **settings):
    """A convolution of each channel for each of the kernels: (3, 1) and (1, 3) are one of rank one."""
    return tuple(
        layer
        for kernel in kernels
        for layer in conv(channels, kernel, groups=channels, order=order, **settings)
    )


def network(name, widths, *, first=3, kernels=(3,), spatial="linear", last="linear", early=False, **mixing):
    """`widths` are the channels of the first convolution and of the mixing ones, of which an `early` network
    can have more than three; with three widths the last convolution has a map for each class, whose logit is
    the weighted sum of its positions. `spatial`, `last` and `mixing` are the orders of the depthwise
    convolutions, of the last of them, and of the others. With `early` the first pooling follows the first
    convolution, and both come before normalisation."""
    a, b, *inner, d = (*widths, 10)[: max(len(widths), 4)]
    activation = mixing.get("activation", RELU)
    half = (MaxPool(2),)

    def separable(into, out, pool=(), **settings):
        return (
            *depthwise(into, kernels, order=spatial, activation=activation, **settings),
            *conv(out, 1, pool=pool, **mixing),
        )

    def body():
        for place, (into, out) in enumerate(pairwise((a, b, *inner))):
            if early:
                yield from separable(into, out, half if place == len(inner) else (), padding=min(place, 1))
            else:
                yield from (*separable(into, out), *half)

    layers = (
        *conv(a, first, padding=first // 2 - 1, pool=half if early else (), **mixing),
        *body(),
        *separable(inner[-1], d),
        *depthwise(d, kernels, order=last, activation=activation),
        *(() if len(widths) == 3 else (Conv(10, 1, bias=False),)),
        Flatten(),
    )
    return Entry(ModelSpec(name, layers), RECIPE)


SILU, HARD_SWISH = Activation("silu"), Activation("hard_swish")
RANK_ONE = (3, 1), (1, 3)

# At most 697 parameters.
BIASES = network("biases", (5, 7, 8, 10), spatial="bias", last="bias")
LINEAR_READOUT = network("linear-readout", (6, 7, 9, 10), spatial="bias")
LINEAR = network("linear", (6, 8, 9, 10))
LINEAR_SILU = network("linear-silu", (6, 8, 9, 10), activation=SILU)
LINEAR_HARD_SWISH = network("linear-hard-swish", (6, 8, 9, 10), activation=HARD_SWISH)
FIRST_5X5 = network("first-5x5", (4, 7, 9, 10), first=5)
NORM_FIRST = network("norm-first", (6, 8, 9, 11), order="norm first", spatial="norm first", last="norm first")
CLASS_MAPS = network("class-maps", (6, 8, 12))
CLASS_MAPS_EARLY = network("class-maps-early", (6, 9, 11))
RANK_ONE_KERNELS = network("rank-one", (6, 9, 11, 11), kernels=RANK_ONE)
RANK_ONE_MAPS = network("rank-one-maps", (7, 10, 13), kernels=RANK_ONE)
EARLY = network("early", (6, 8, 9, 10), early=True)
EARLY_5X5 = network("early-5x5", (4, 7, 9, 10), first=5, early=True)
EARLY_5X5_DEEP = network("early-5x5-deep", (3, 6, 7, 8, 9), first=5, early=True)
EARLY_DEEP = network("early-deep", (5, 6, 7, 8, 9), early=True)

# At most 1,936 parameters.
LINEAR_2K = network("linear-2k", (12, 16, 20, 20))
CLASS_MAPS_2K = network("class-maps-2k", (13, 20, 26))
RANK_ONE_2K = network("rank-one-2k", (12, 18, 22, 21), kernels=RANK_ONE)
EARLY_2K = network("early-2k", (12, 16, 20, 20), early=True)
EARLY_5X5_2K = network("early-5x5-2k", (10, 16, 18, 18), first=5, early=True)
EARLY_5X5_WIDE_2K = network("early-5x5-wide-2k", (10, 16, 19, 19), first=5, early=True)
EARLY_5X5_DEEP_2K = network("early-5x5-deep-2k", (9, 12, 14, 16, 17), first=5, early=True)
EARLY_DEEP_2K = network("early-deep-2k", (10, 14, 16, 16, 18), early=True)
