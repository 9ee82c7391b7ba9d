"""A network with BatchNorm and LayerNorm, in PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.dense1 = nn.Linear(16 * 7 * 7, 32)
        self.norm2 = nn.LayerNorm(32)
        self.dropout1 = nn.Dropout(0.25)
        self.dense2 = nn.Linear(32, 10)

    def forward(self, x):
        x = self.conv1(x)
        x = self.norm1(x)
        x = F.leaky_relu(x, 0.1)
        x = self.conv2(x)
        x = F.relu(x)
        x = x.flatten(1)
        x = self.dense1(x)
        x = self.norm2(x)
        x = F.gelu(x)
        x = self.dropout1(x)
        x = self.dense2(x)
        return x


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.Adam(parameters, lr=0.001)
