"""A network with a residual branch, in PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16, 16, 3, padding=1)
        self.norm3 = nn.BatchNorm2d(16)
        self.dropout1 = nn.Dropout(0.25)
        self.dense1 = nn.Linear(16 * 7 * 7, 10)

    def forward(self, x):
        x = self.conv1(x)
        x = self.norm1(x)
        x = F.leaky_relu(x, 0.1)
        shortcut = x
        x = self.conv2(x)
        x = self.norm2(x)
        x = F.relu(x)
        x = self.conv3(x)
        x = self.norm3(x)
        x = x + shortcut
        x = F.relu(x)
        x = F.avg_pool2d(x, 3, 2, 1)
        x = x.flatten(1)
        x = self.dropout1(x)
        x = self.dense1(x)
        return x


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
