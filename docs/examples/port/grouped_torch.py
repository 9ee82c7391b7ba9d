"""A network of colour images with GroupNorm, GELU and LayerNorm, in PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.norm1 = nn.GroupNorm(4, 16, eps=1e-05)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.conv3 = nn.Conv2d(16, 24, 1)
        self.norm2 = nn.GroupNorm(4, 24, eps=1e-05)
        self.dropout1 = nn.Dropout2d(0.25)
        self.dense1 = nn.Linear(24 * 4 * 4, 32)
        self.norm3 = nn.LayerNorm(32)
        self.dense2 = nn.Linear(32, 10)

    def forward(self, x):
        x = self.conv1(x)
        x = self.norm1(x)
        x = F.gelu(x)
        x = F.max_pool2d(x, 3, 2, 1)
        x = self.conv2(x)
        x = F.relu(x)
        x = self.conv3(x)
        x = self.norm2(x)
        x = F.gelu(x)
        x = self.dropout1(x)
        x = F.max_pool2d(x, 2)
        x = x.flatten(1)
        x = self.dense1(x)
        x = self.norm3(x)
        x = F.gelu(x)
        x = self.dense2(x)
        return x


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.Adam(parameters, lr=0.001)
