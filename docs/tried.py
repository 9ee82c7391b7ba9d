"""Small networks that were tried for `under-2k`, and for one of at most 697 parameters.

docs/recipes.md has what they reached. A row of results/trials.csv is repeated by, for instance,

    python -m common.bench run --models docs/tried.py:LINEAR --frameworks pytorch --seeds 1 \\
        --validation 10000 --vary "moments=Moments(0.8,0.8)"

and those of networks for 2,000 parameters with `lr=0.7` after it. Each network is a first convolution and
blocks of a depthwise and a 1x1 convolution. Two poolings leave 3x3 maps, which a depthwise convolution of
that size sums with a weight for each position.
"""

from dataclasses import replace

from common.model import Activation, AvgPool, BatchNorm, Concat, Conv, Entry, Flatten, MaxPool, ModelSpec
from common.model.zoo import ZOO, biased_conv, spatial_conv, tiny_network

RECIPE = replace(ZOO["smallest"].recipe, epochs=10)


def network(name, widths, *, first=3, kernels=(3,), activation="relu"):
    """A network whose first two blocks end in a pooling; `widths` are the channels of the first convolution
    and of each block. With three widths the last block has a map for each class, and no convolution to
    classes follows. A depthwise convolution has each kernel in turn: (3, 1) and (1, 3) are a 3x3 one of rank
    one."""
    a, b, c, d = (*widths, 10)[:4]

    def spatial(channels):
        return tuple(spatial_conv(channels, kernel) for kernel in kernels)

    layers = (
        *biased_conv(a, first, padding=first // 2 - 1),
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


def staged(name, widths, *, stages):
    """A 3x3 convolution, blocks with depthwise kernels of the sizes in `stages`, with a pooling between two
    stages, and at the end each channel's weight for each position of its 3x3 map."""
    layers, (channels, *rest) = [*biased_conv(widths[0], 3)], widths
    for stage, kernels in enumerate(stages, 1):
        for number, kernel in enumerate(kernels, 1):
            pool = stage < len(stages) and number == len(kernels)
            layers += [spatial_conv(channels, kernel), *biased_conv(rest[0], 1, pool=pool)]
            channels, *rest = rest
    layers += [spatial_conv(channels, 3), Conv(10, 1, bias=False), Flatten()]
    return Entry(ModelSpec(name, tuple(layers)), RECIPE)


def dense_block(channels):
    """The input and beside it `channels` maps more: a 1x1 and then a depthwise 3x3 convolution of it."""
    spatial = Conv(channels, 3, groups=channels, padding=1)
    return Concat((), (Conv(channels, 1, bias=False), spatial, Activation(), BatchNorm(affine=False)))


def dense(name, first, blocks, *, growth, last):
    """A 3x3 convolution of `first` channels, three stages of `blocks` that add `growth` channels each and end
    in a pooling, a 1x1 convolution, and at the end each channel's weight for each position."""
    layers = [*biased_conv(first, 3)]
    for count in blocks:
        layers += [*(dense_block(growth) for _ in range(count)), MaxPool(2)]
    layers += [*biased_conv(last, 1), spatial_conv(last, 3), Conv(10, 1, bias=False), Flatten()]
    return Entry(ModelSpec(name, tuple(layers)), RECIPE)


def paired(name, widths):
    """`network` with two maps for each of its convolutions' channels: one with ReLU, one without. Where a
    block ends in a pooling, these are the largest value with ReLU and the mean without."""
    a, b, c, d = widths

    def both(channels, kernel_size, *, pool=False):
        convolution, norm = Conv(channels, kernel_size), BatchNorm(affine=False)
        with_relu, without = ((Activation(), MaxPool(2)), (AvgPool(2),)) if pool else ((Activation(),), ())
        return convolution, Concat(with_relu, without), norm

    layers = (
        *both(a, 3),
        *(spatial_conv(2 * a), *both(b, 1, pool=True)),
        *(spatial_conv(2 * b), *both(c, 1, pool=True)),
        *(spatial_conv(2 * c), *both(d, 1), spatial_conv(2 * d), Conv(10, 1, bias=False), Flatten()),
    )
    return Entry(ModelSpec(name, layers), RECIPE)


COLUMN_AND_ROW = (3, 1), (1, 3)

# At most 697 parameters.
LINEAR = network("linear", (6, 8, 9, 10))
LINEAR_HARD_SWISH = network("linear-hard-swish", (6, 8, 9, 10), activation="hard_swish")
PAIRED = paired("paired", (4, 5, 6, 5))
CLASS_MAPS = network("class-maps", (6, 8, 12))
RANK_ONE = network("rank-one", (6, 9, 11, 11), kernels=COLUMN_AND_ROW)
RANK_ONE_MAPS = network("rank-one-maps", (7, 10, 13), kernels=COLUMN_AND_ROW)
EARLY = early("early", (6, 8, 9, 10))
EARLY_5X5 = early("early-5x5", (4, 7, 9, 10), first=5)
EARLY_DEEP = early("early-deep", (5, 6, 7, 8, 9))
EVEN = staged("even", (5, 7, 8, 8, 8, 9), stages=((2,), (2, 2), (2, 2)))
EVEN_THEN_ODD = staged("even-then-odd", (6, 8, 10, 10), stages=((2,), (3,), (3,)))
DENSE = dense("dense", 5, (1, 2, 1), growth=3, last=10)
LATE_5X5 = network("late-5x5", (4, 7, 9, 10), first=5)
LATE_5X5_EVEN = network("late-5x5-even", (5, 7, 8, 10), first=5)

# At most 1,936 parameters.
EARLY_2K = early("early-2k", (12, 16, 20, 20))
EARLY_5X5_2K = early("early-5x5-2k", (10, 16, 18, 18), first=5)
EARLY_5X5_WIDE_2K = early("early-5x5-wide-2k", (10, 16, 19, 19), first=5)
EARLY_5X5_DEEP_2K = early("early-5x5-deep-2k", (9, 12, 14, 16, 17), first=5)
EARLY_DEEP_2K = early("early-deep-2k", (10, 14, 16, 16, 18))
