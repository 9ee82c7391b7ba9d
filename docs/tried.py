"""Small networks that were tried for `under-2k`, and for one of at most 697 parameters.

docs/recipes.md has what they reached. A row of results/trials.csv is repeated by, for instance,

    python -m common.bench run --models docs/tried.py:LINEAR --frameworks pytorch --seeds 1 \\
        --validation 10000 --vary "moments=Moments(0.8,0.8)"

and those of networks for 2,000 parameters with `lr=0.7` after it. Each network is a first convolution and
blocks of a depthwise and a 1x1 convolution. Two poolings leave 3x3 maps, which a depthwise convolution of
that size sums with a weight for each position.
"""

from dataclasses import replace

from common.model import Activation, Conv, Entry, Flatten, MaxPool, ModelSpec
from common.model.zoo import ZOO, biased_conv, spatial_conv, tiny_network

RECIPE = replace(ZOO["smallest"].recipe, epochs=10)


def network(name, widths, *, kernels=(3,), activation="relu"):
    """A network whose first two blocks end in a pooling; `widths` are the channels of the first convolution
    and of each block. With three widths the last block has a map for each class, and no convolution to
    classes follows. A depthwise convolution has each kernel in turn: (3, 1) and (1, 3) are a 3x3 one of rank
    one."""
    a, b, c, d = (*widths, 10)[:4]

    def spatial(channels):
        return tuple(spatial_conv(channels, kernel) for kernel in kernels)

    layers = (
        *biased_conv(a, 3),
        *(*spatial(a), *biased_conv(b, 1), MaxPool(2)),
        *(*spatial(b), *biased_conv(c, 1), MaxPool(2)),
        *(*spatial(c), *biased_conv(d, 1), *spatial(d)),
        *(() if len(widths) == 3 else (Conv(10, 1, bias=False),)),
        Flatten(),
    )
    activated = tuple(Activation(activation) if layer == Activation() else layer for layer in layers)
    return Entry(ModelSpec(name, activated), RECIPE)


def early(name, widths, *, first=3):
    """A network of the design of `under-2k`: its poolings come earlier, each before normalisation."""
    return Entry(ModelSpec(name, tiny_network(widths, first=first)), RECIPE)


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
