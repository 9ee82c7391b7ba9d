"""A small residual network with group normalisation."""

from common.model import (
    Activation,
    Adam,
    Conv,
    Dense,
    GlobalAvgPool,
    GroupNorm,
    ModelSpec,
    Recipe,
    Residual,
    StepDecay,
)


def conv(channels, stride=1):
    return Conv(channels, 3, padding=1, stride=stride, bias=False), GroupNorm(4)


def block(channels, stride=1):
    shortcut = (Conv(channels, 1, stride=stride, bias=False), GroupNorm(4)) if stride > 1 else ()
    layers = (*conv(channels, stride), Activation(), *conv(channels))
    return Residual(*layers, shortcut=shortcut), Activation()


STEM = (*conv(16, stride=2), Activation())
HEAD = (GlobalAvgPool(), Dense(10))
NETWORK = ModelSpec("resnet", (*STEM, *block(16), *block(32, stride=2), *block(64, stride=2), *HEAD))
RECIPE = Recipe(Adam(), lr=3e-3, batch_size=64, epochs=3, schedule=StepDecay(0.4))
