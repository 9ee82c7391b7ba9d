"""The zoo: the networks that the benchmark trains, each with its recipe, its source and recorded accuracies.

An entry with a source keeps its network and recipe, but for what `assumed` says. A network is added by one
more entry in ENTRIES.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from common.data.augment import Affine, Elastic, RandomCrop, ZoomCrop
from common.data.moment_normalization import MomentNormalization
from common.model.entry import PROJECT, Entry, Recorded
from common.model.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Sizes,
    SpatialDropout,
)
from common.model.optimizer import SGD, Adadelta, Adam
from common.model.recipe import Recipe
from common.model.schedule import Linear, OneCycle, StepDecay
from common.model.spec import Layer, ModelSpec


def _project_entry(
    spec: ModelSpec,
    recipe: Recipe,
    *,
    accuracy: Recorded | None = None,
    first_epoch: Recorded | None = None,
    target: float | None = None,
    last_two_epochs_threshold: float | None = None,
    tta: Recorded | None = None,
    planned_seeds: int,
    chosen: str = "Chosen on 10,000 held-out training images.",
) -> Entry:
    """A network with a recipe of this project (docs/recipes.md), and how that was `chosen`."""
    return Entry(
        spec,
        recipe,
        source=PROJECT,
        claim_note="none, it is made here",
        accuracy=accuracy,
        first_epoch=first_epoch,
        assumed=chosen,
        target=target,
        last_two_epochs_threshold=last_two_epochs_threshold,
        tta=tta,
        planned_seeds=planned_seeds,
    )


def _conv_relu_norm(channels: int) -> tuple[Layer, ...]:
    return Conv(channels, 3, padding=1), Activation(), BatchNorm()


def _norm_block(channels: int, kernel_size: int, *, groups: int = 1) -> tuple[Layer, ...]:
    return Conv(channels, kernel_size, groups=groups, bias=False), Activation(), BatchNorm()


def _conv_norm_relu(channels: int, kernel_size: int) -> tuple[Layer, ...]:
    return Conv(channels, kernel_size, bias=False), BatchNorm(), Activation()


def _separable(into: int, out: int) -> tuple[Layer, ...]:
    return *_norm_block(into, 3, groups=into), *_norm_block(out, 1)


def _separable_network(before: tuple[int, int, int], after: tuple[int, int, int, int]) -> tuple[Layer, ...]:
    """Layers of depthwise separable convolutions, given their channels before and after pooling."""
    return (
        *_norm_block(before[0], 3),
        *_separable(before[0], before[1]),
        *_separable(before[1], before[2]),
        *(MaxPool(2), Conv(after[0], 1, bias=False)),
        *(layer for into, out in pairwise(after) for layer in _separable(into, out)),
        *(Conv(10, 1, bias=False), GlobalAvgPool()),
    )


def biased_conv(
    channels: int, kernel_size: int, *, pool: bool = False, padding: int = 0
) -> tuple[Layer, ...]:
    """A convolution whose only trained arrays are kernel and bias: normalised without scale and shift."""
    pooling = (MaxPool(2),) if pool else ()
    return Conv(channels, kernel_size, padding=padding), Activation(), *pooling, BatchNorm(affine=False)


def spatial_conv(channels: int, kernel_size: Sizes = 3, *, padding: int = 0) -> Conv:
    """A depthwise convolution without bias."""
    return Conv(channels, kernel_size, groups=channels, padding=padding, bias=False)


def tiny_network(widths: tuple[int, ...], *, first: int) -> tuple[Layer, ...]:
    """Layers of the networks with the fewest parameters: a convolution of kernel size `first`, blocks of a
    depthwise and a 1x1 convolution, and at the end each channel's weight for each position of its 3x3 map.

    `widths` are the channels of the first convolution and of each block, three or more. Poolings follow that
    convolution and the last block but one; the blocks between the first and the last keep the maps' size.
    """
    a, b, *inner, d = widths
    layers = [*biased_conv(a, first, padding=first // 2 - 1, pool=True), spatial_conv(a), *biased_conv(b, 1)]
    for number, (into, out) in enumerate(pairwise((b, *inner)), 1):
        layers += [spatial_conv(into, padding=1), *biased_conv(out, 1, pool=number == len(inner))]
    layers += [spatial_conv(inner[-1]), *biased_conv(d, 1), spatial_conv(d)]
    return *layers, Conv(10, 1, bias=False), Flatten()


_TEMPLATE = (
    *(Conv(16, 5, padding=2), Activation(), MaxPool(2)),
    *(Conv(32, 5, padding=2), Activation(), MaxPool(2)),
    Flatten(),
)
_SEPARABLE = _separable_network((16, 16, 32), (16, 16, 24, 32))
_UNDER_5K = ModelSpec(
    "under-5k",
    (
        *(*_conv_relu_norm(4), *_conv_relu_norm(4), MaxPool(2), Dropout(0.01)),
        *(*_conv_relu_norm(8), *_conv_relu_norm(8), MaxPool(2), Dropout(0.01)),
        *(*_conv_relu_norm(16), *_conv_relu_norm(16), Dropout(0.01)),
        *(Conv(10, 1), GlobalAvgPool()),
    ),
    init="xavier-uniform",
)
_DENSE = (Flatten(), Dense(128), Activation(), Dense(10))
_TEMPLATE_RECIPE = Recipe(Adam(), lr=2e-3, batch_size=32, epochs=5)
_AFFINE = Affine(rotation=12.0, scaling=0.06, translation=1.0, probability=0.5)
_LOOKED_TWICE = "Chosen on 10,000 held-out training images, and changed after a first look at the test set."
_SEPARABLE_RECIPE = Recipe(
    SGD(momentum=0.9, nesterov=True),
    lr=1.0,
    batch_size=128,
    epochs=15,
    schedule=OneCycle(warm_up=0.25, start_div=100.0, momentum=None),
    augment=replace(_AFFINE, elastic=Elastic(0.5)),
    moments=MomentNormalization(height=0.5, width=0.5),
)

# `planned_seeds`: 20 where a run takes less than two minutes, 15 or 10 where it takes longer. By their first
# seeds (`common.analysis.power`), `pytorch-model-1` and `nextjournal` needed 50 and 40 for a verdict with a
# probability of 80 %, as their runs differ most. `under-8k` would have needed 33, which take hours, and kept
# 10. These estimates change with every seed (benchmarks.md has today's); plans stay.
# `pytorch-model-1-printed` has no verdict; 3 show its level.
ENTRIES = (
    Entry(
        ModelSpec("pytorch-model-1", (*_TEMPLATE, Dense(10))),
        _TEMPLATE_RECIPE,
        source="Template MNIST (its code)",
        claimed=98.98,
        claim_note="98.98 % on 10,000 held-out training images",
        accuracy=Recorded(mean=98.878, sd=0.18, seeds=50),
        first_epoch=Recorded(mean=98.543, sd=0.2, seeds=50),
        assumed="Trained on all 60,000 images; --validation 10000 repeats its split by size.",
        planned_seeds=50,
    ),
    Entry(
        ModelSpec("pytorch-model-1-printed", _TEMPLATE),
        _TEMPLATE_RECIPE,
        source="Template MNIST (its README)",
        claimed=98.98,
        accuracy=Recorded(mean=36.257, sd=0.421, seeds=3),
        first_epoch=Recorded(mean=30.88, sd=0.843, seeds=3),
        assumed="1,568 logits of which only the first ten are ever a label, as its printed summary shows; "
        "its softmax is part of the loss. Those ten are the upper left of one 7x7 map and depend only on the "
        "upper half of a digit: the network as printed cannot reach its claim; with the dense layer of its "
        "code, `pytorch-model-1`, it does.",
        judged=False,
        planned_seeds=3,
    ),
    Entry(
        ModelSpec("tf-model-1", _DENSE, init="xavier-uniform"),
        Recipe(Adam(), lr=1e-3, batch_size=128, epochs=8, mean=0.0, std=1.0),
        source="Template MNIST (its README)",
        claim_note="98.98 % (a training accuracy)",
        accuracy=Recorded(mean=97.619, sd=0.108, seeds=20),
        first_epoch=Recorded(mean=94.464, sd=0.211, seeds=20),
        assumed="Batch 128; its README says 'entire dataset'.",
        planned_seeds=20,
    ),
    Entry(
        ModelSpec(
            "nextjournal",
            (
                *(Conv(10, 5), MaxPool(2), Activation()),
                *(Conv(20, 5), SpatialDropout(0.5), MaxPool(2), Activation()),
                *(Flatten(), Dense(50), Activation(), Dropout(0.5), Dense(10)),
            ),
        ),
        Recipe(SGD(momentum=0.5), lr=0.01, batch_size=64, epochs=3),
        source="MNIST Handwritten Digit Recognition in PyTorch (nextjournal)",
        address="https://nextjournal.com/gkoehler/pytorch-mnist",
        claimed=97.16,
        accuracy=Recorded(mean=96.962, sd=0.216, seeds=40),
        first_epoch=Recorded(mean=94.235, sd=0.443, seeds=40),
        planned_seeds=40,
    ),
    Entry(
        _UNDER_5K,
        Recipe(
            Adam(),
            lr=0.01,
            batch_size=64,
            epochs=12,
            schedule=Linear((0, 2, 5, 12), (0.1, 1.0, 0.02, 0.0)),
            augment=Affine(crop=RandomCrop(area=(0.85, 1.0), aspect=(3 / 4, 4 / 3)), rotation=5.0),
        ),
        source="MNIST under 5k parameters (article)",
        address="https://colab.research.google.com/drive/1uIfwHwPRwB-2jYiiTi9kksbGuU6J0B_8",
        claimed=99.42,
        claim_note="99.42 % (best epoch; last 99.41 %)",
        accuracy=Recorded(mean=99.101, sd=0.106, seeds=10),
        first_epoch=Recorded(mean=96.163, sd=0.351, seeds=10),
        assumed="Crop and rotation are one bilinear resampling.",
        planned_seeds=10,
    ),
    Entry(
        ModelSpec(
            "examples-cnn",
            (
                *(Conv(32, 3), Activation(), Conv(64, 3), Activation(), MaxPool(2), Dropout(0.25)),
                *(Flatten(), Dense(128), Activation(), Dropout(0.5), Dense(10)),
            ),
        ),
        Recipe(Adadelta(), lr=1.0, batch_size=32, epochs=14, schedule=StepDecay(0.7)),
        source="modified pytorch/examples mnist",
        address="https://github.com/pytorch/examples/blob/main/mnist/main.py",
        claimed=99.185,
        claim_note="not stated; 99.185 % measured by others",
        accuracy=Recorded(mean=99.161, sd=0.057, seeds=10),
        first_epoch=Recorded(mean=98.43, sd=0.116, seeds=10),
        assumed="Shuffled every epoch; upstream does not shuffle on a CPU.",
        planned_seeds=10,
    ),
    Entry(
        ModelSpec("under-8k", _SEPARABLE),
        Recipe(
            SGD(momentum=0.95),
            lr=1.0,
            batch_size=128,
            epochs=15,
            schedule=OneCycle(),
            augment=Affine(zoom=ZoomCrop(side=22, probability=0.1), rotation=15.0),
        ),
        source="TSAI ERA V1 A7: Delta-engineering MNIST CNN",
        address="https://github.com/woncoh1/era1a7",
        claimed=99.48,
        claim_note="99.48 %, 99.46 % in the last two epochs",
        accuracy=Recorded(mean=99.427, sd=0.062, seeds=10),
        first_epoch=Recorded(mean=96.119, sd=0.789, seeds=10),
        assumed="Dropout of rate 0 left out; momentum cycles .95, .85, .95; crop and rotation are one "
        "bilinear resampling.",
        planned_seeds=10,
    ),
    Entry(
        ModelSpec(
            "one-epoch-215k",
            (
                *(Conv(24, 5), MaxPool(2), Activation(), Conv(32, 3), MaxPool(2), Activation()),
                *(Flatten(), Dense(256), Activation(), Dense(10)),
            ),
        ),
        Recipe(
            Adam(beta1=0.7, beta2=0.9),
            lr=0.01,
            batch_size=256,
            epochs=1,
            schedule=OneCycle(momentum=None),
        ),
        source="Training a NN to 99% accuracy on MNIST in 0.76 seconds",
        address="https://github.com/tuomaso/train_mnist_fast",
        claimed=99.04,
        claim_note="99.04 % (± 0.07)",
        accuracy=Recorded(mean=99.037, sd=0.072, seeds=20),
        first_epoch=Recorded(mean=99.037, sd=0.072, seeds=20),
        planned_seeds=20,
    ),
    _project_entry(
        ModelSpec(
            "speedrun",
            (
                *(Conv(16, 7, stride=3), Activation()),
                *_conv_norm_relu(32, 3),
                *(Flatten(), Dense(128, bias=False), BatchNorm(), Activation(), Dense(10)),
            ),
        ),
        Recipe(
            Adam(beta1=0.7, beta2=0.9),
            lr=0.03,
            batch_size=256,
            epochs=1,
            schedule=OneCycle(warm_up=0.2, start_div=10.0, momentum=None),
        ),
        accuracy=Recorded(mean=99.025, sd=0.068, seeds=20),
        first_epoch=Recorded(mean=99.025, sd=0.068, seeds=20),
        planned_seeds=20,
        chosen="How its recipe was chosen is not on record.",
    ),
    _project_entry(
        ModelSpec("mlp-tuned", _DENSE, init="xavier-uniform"),
        Recipe(
            Adam(),
            lr=0.004,
            batch_size=64,
            epochs=8,
            schedule=OneCycle(momentum=None),
            augment=Affine(rotation=5.0, scaling=0.06, translation=1.0),
            label_smoothing=0.05,
            moments=MomentNormalization(height=0.5, width=0.5),
        ),
        accuracy=Recorded(mean=99.046, sd=0.052, seeds=20),
        first_epoch=Recorded(mean=97.164, sd=0.283, seeds=20),
        target=98.98,
        planned_seeds=20,
    ),
    _project_entry(
        ModelSpec("under-8k-tuned", _SEPARABLE),
        _SEPARABLE_RECIPE,
        accuracy=Recorded(mean=99.526, sd=0.044, seeds=15),
        first_epoch=Recorded(mean=95.454, sd=2.557, seeds=15),
        target=99.5,
        last_two_epochs_threshold=99.4,
        planned_seeds=15,
    ),
    _project_entry(
        ModelSpec("smallest", _separable_network((10, 12, 15), (14, 16, 20, 28))),
        replace(_SEPARABLE_RECIPE, epochs=20),
        accuracy=Recorded(mean=99.529, sd=0.046, seeds=15),
        first_epoch=Recorded(mean=96.241, sd=1.64, seeds=15),
        target=99.4,
        planned_seeds=15,
    ),
    _project_entry(
        ModelSpec("under-2k", tiny_network((10, 16, 19, 19), first=5)),
        replace(_SEPARABLE_RECIPE, lr=0.7, epochs=30, moments=MomentNormalization(height=0.8, width=0.8)),
        accuracy=Recorded(mean=99.396, sd=0.049, seeds=10),
        first_epoch=Recorded(mean=97.32, sd=0.784, seeds=10),
        target=99.3,
        planned_seeds=10,
    ),
    _project_entry(
        replace(_UNDER_5K, name="under-5k-tuned"),
        Recipe(
            SGD(momentum=0.9, nesterov=True),
            lr=0.3,
            batch_size=128,
            epochs=10,
            schedule=OneCycle(warm_up=0.25, start_div=1000.0, momentum=None),
            augment=_AFFINE,
            moments=MomentNormalization(height=0.5, width=0.5),
            tta_shift=1,
        ),
        accuracy=Recorded(mean=99.372, sd=0.07, seeds=20),
        first_epoch=Recorded(mean=91.984, sd=7.061, seeds=20),
        target=99.4,
        tta=Recorded(mean=99.43, sd=0.053, seeds=20),
        planned_seeds=20,
        chosen=_LOOKED_TWICE,
    ),
    _project_entry(
        ModelSpec(
            "best",
            (
                *(*_conv_norm_relu(24, 5), MaxPool(2)),
                *(*_conv_norm_relu(48, 3), *_conv_norm_relu(64, 3), MaxPool(2)),
                *(*_conv_norm_relu(128, 3), Flatten(), Dropout(0.3), Dense(10)),
            ),
        ),
        Recipe(
            SGD(momentum=0.9, nesterov=True),
            lr=0.2,
            batch_size=128,
            epochs=20,
            schedule=OneCycle(warm_up=0.25, momentum=None),
            augment=replace(_AFFINE, elastic=Elastic(0.6)),
            moments=MomentNormalization(height=0.5, width=0.5),
            tta_shift=1,
        ),
        accuracy=Recorded(mean=99.65, sd=0.035, seeds=10),
        first_epoch=Recorded(mean=98.853, sd=0.219, seeds=10),
        target=99.7,
        tta=Recorded(mean=99.653, sd=0.036, seeds=10),
        planned_seeds=10,
        chosen=_LOOKED_TWICE,
    ),
)

ZOO: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}
