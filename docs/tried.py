"""Small networks that were tried for `under-2k`, and for one of at most 697 parameters.

docs/recipes.md has what they reached. A row of results/trials.csv is repeated by, for instance,

    python -m common.bench run --models docs/tried.py:LINEAR --frameworks pytorch --seeds 1 \\
        --validation 10000 --vary "moments=Moments(0.8,0.8)"

and those of networks for 2,000 parameters with `lr=0.7` after it. Each network is a first convolution and
blocks of a depthwise and a 1x1 convolution. Two poolings leave 3x3 maps, which a depthwise convolution of
that size sums with a weight for each position.
"""

from dataclasses import replace
from itertools import pairwise

from common.model import Activation, BatchNorm, Conv, Entry, Flatten, MaxPool, ModelSpec
from common.model.zoo import ZOO

RECIPE = replace(ZOO["smallest"].recipe, epochs=10)
HALF = MaxPool(2)


def mixing(channels, kernel_size, *, activation="relu", pool=(), **settings):
    """A convolution with a bias, an activation, a pooling where one is given, and normalisation."""
    convolution = Conv(channels, kernel_size, **settings)
    return convolution, Activation(activation), *pool, BatchNorm(affine=False)


def spatial(channels, kernels, **settings):
    """A depthwise convolution with each kernel in turn: (3, 1) and (1, 3) are a 3x3 one of rank one."""
    return tuple(Conv(channels, kernel, groups=channels, bias=False, **settings) for kernel in kernels)


def network(name, widths, *, kernels=(3,), activation="relu"):
    """A network whose first two blocks end in a pooling; `widths` are the channels of the first convolution
    and of each block. With three widths the last block has a map for each class, and no convolution to
    classes follows."""
    a, b, c, d = (*widths, 10)[:4]
    layers = (
        *mixing(a, 3, activation=activation),
        *(*spatial(a, kernels), *mixing(b, 1, activation=activation), HALF),
        *(*spatial(b, kernels), *mixing(c, 1, activation=activation), HALF),
        *(*spatial(c, kernels), *mixing(d, 1, activation=activation), *spatial(d, kernels)),
        *(() if len(widths) == 3 else (Conv(10, 1, bias=False),)),
        Flatten(),
    )
    return Entry(ModelSpec(name, layers), RECIPE)


def early(name, widths, *, first=3):
    """A network with its poolings after the first convolution and in the last block but one, each before
    normalisation. Blocks between the first and the last keep the maps' size."""
    a, b, *inner, d = widths
    layers = [*mixing(a, first, padding=first // 2 - 1, pool=(HALF,)), *spatial(a, (3,)), *mixing(b, 1)]
    for number, (into, out) in enumerate(pairwise((b, *inner)), 1):
        pool = (HALF,) if number == len(inner) else ()
        layers += [*spatial(into, (3,), padding=1), *mixing(out, 1, pool=pool)]
    layers += [
        *spatial(inner[-1], (3,)),
        *mixing(d, 1),
        *spatial(d, (3,)),
        Conv(10, 1, bias=False),
        Flatten(),
    ]
    return Entry(ModelSpec(name, tuple(layers)), RECIPE)


COLUMN_AND_ROW = (3, 1), (1, 3)

# At most 697 parameters.
LINEAR = network("linear", (6, 8, 9, 10))
LINEAR_HARD_SWISH = network("linear-hard-swish", (6, 8, 9, 10), activation="hard_swish")
CLASS_MAPS = network("class-maps", (6, 8, 12))
RANK_ONE = network("rank-one", (6, 9, 11, 11), kernels=COLUMN_AND_ROW)
RANK_ONE_MAPS = network("rank-one-maps", (7, 10, 13), kernels=COLUMN_AND_ROW)
EARLY = early("early", (6, 8, 9, 10))
EARLY_5X5 = early("early-5x5", (4, 7, 9, 10), first=5)
EARLY_DEEP = early("early-deep", (5, 6, 7, 8, 9))

# At most 1,936 parameters.
EARLY_2K = early("early-2k", (12, 16, 20, 20))
EARLY_5X5_2K = early("early-5x5-2k", (10, 16, 18, 18), first=5)
EARLY_5X5_WIDE_2K = early("early-5x5-wide-2k", (10, 16, 19, 19), first=5)
EARLY_5X5_DEEP_2K = early("early-5x5-deep-2k", (9, 12, 14, 16, 17), first=5)
EARLY_DEEP_2K = early("early-deep-2k", (10, 14, 16, 16, 18))
