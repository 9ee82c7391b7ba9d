"""The shortest program that imports PyTorch and takes one training step of the network `pytorch-model-1`.

`python -m common.bench speed startup` compares the start of pytorch.py with it.
"""

import torch

model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 16, 5, padding=2),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Conv2d(16, 32, 5, padding=2),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Flatten(),
    torch.nn.Linear(1568, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
loss = torch.nn.functional.cross_entropy(model(torch.rand(32, 1, 28, 28)), torch.randint(0, 10, (32,)))
loss.backward()
optimizer.step()
print("done")
