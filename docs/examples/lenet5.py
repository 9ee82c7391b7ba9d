"""LeNet-5 (LeCun et al., 1998) with tanh and average pooling."""

from common.model import Activation, Adam, AvgPool, Conv, Dense, Flatten, ModelSpec, Recipe, StepDecay

LAYERS = (
    Conv(6, 5, padding=2),
    Activation("tanh"),
    AvgPool(2),
    Conv(16, 5),
    Activation("tanh"),
    AvgPool(2),
    Flatten(),
    Dense(120),
    Activation("tanh"),
    Dense(84),
    Activation("tanh"),
    Dense(10),
)
NETWORK = ModelSpec("lenet5", LAYERS)
RECIPE = Recipe(Adam(), lr=2e-3, batch_size=64, epochs=5, schedule=StepDecay(0.6))
