"""MobileNet blocks: depthwise separable convolutions with hard swish, without squeeze and excitation."""

from common.model import (
    Activation,
    Adam,
    BatchNorm,
    Conv,
    Dense,
    GlobalAvgPool,
    ModelSpec,
    Recipe,
    Residual,
    StepDecay,
)


def conv(channels, kernel_size, **settings):
    return Conv(channels, kernel_size, bias=False, **settings), BatchNorm(), Activation("hard_swish")


def separable(inputs, outputs, stride=1):
    return *conv(inputs, 3, padding=1, stride=stride, groups=inputs), *conv(outputs, 1)


LAYERS = (
    *conv(16, 3, padding=1, stride=2),
    *separable(16, 32),
    *separable(32, 64, stride=2),
    Residual(*separable(64, 64)),
    GlobalAvgPool(),
    Dense(10),
)
NETWORK = ModelSpec("mobilenet", LAYERS)
RECIPE = Recipe(Adam(), lr=3e-3, batch_size=64, epochs=3, schedule=StepDecay(0.4))
