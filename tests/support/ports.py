"""A small network twice, as a porter writes it, with places for what goes wrong."""

from __future__ import annotations

from pathlib import Path

from common.port.check import Report

PYTORCH = """
import torch
from torch import nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, stride=2, padding=0)
        self.bn1 = nn.BatchNorm2d(4, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.fc1 = nn.Linear(6 * 3 * 3, 12)
        self.fc2 = nn.Linear(12, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(F.gelu(self.conv2(x)), 2)
        x = self.drop(x.flatten(1))
        return self.fc2(F.leaky_relu(self.fc1(x), 0.2))

loss = nn.CrossEntropyLoss()

def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.1)
"""

KERAS = """
import keras
from keras import layers

def build():
    return keras.Sequential([
        keras.Input((14, 14, 1)),
        layers.Conv2D(4, 3, strides=2),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(6, 3, padding="same", activation="gelu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(12),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Dense(10),
    ])

loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

def optimizer():
    return keras.optimizers.SGD(0.1)
"""

Changes = dict[str, str]


def changed(text: str, changes: Changes) -> str:
    """`text` with pieces replaced, each of which it must have."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def saved(folder: Path, pytorch: str, keras: str, *, name: str = "Net") -> tuple[str, str]:
    """The addresses of both files: of `name` in PyTorch's, of `build` in Keras'."""
    left, right = folder / "net_torch.py", folder / "net_keras.py"
    left.write_text(pytorch)
    right.write_text(keras)
    return f"{left}:{name}", f"{right}:build"


def write(folder: Path, *, pytorch: Changes | None = None, keras: Changes | None = None) -> tuple[str, str]:
    """The addresses of both, with pieces replaced on either side."""
    return saved(folder, changed(PYTORCH, pytorch or {}), changed(KERAS, keras or {}))


def causes(report: Report, *, inherent: bool = False) -> list[tuple[str, str]]:
    """Stage and cause of each finding, in order."""
    return [(f.stage, f.cause) for f in report.findings if f.inherent == inherent]
