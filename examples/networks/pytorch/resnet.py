# A residual network tells drawn shapes apart: discs, squares, crosses and rings (He et al. 2016).
import sys

import torch
import torch.nn as nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(planes),
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


def draw(count):
    labels = torch.randint(0, 4, (count,))
    center = 5 + 6 * torch.rand(count, 2, 1, 1)
    radius = 2.5 + 2.5 * torch.rand(count, 1, 1)
    x = (torch.arange(16) - center[:, 0]).abs()
    y = (torch.arange(16).unsqueeze(1) - center[:, 1]).abs()
    round = (x * x + y * y).sqrt()
    square = torch.maximum(x, y)
    disc = round <= radius
    box = square <= 0.85 * radius
    ring = disc * (round > radius - 1.5)
    cross = (square <= radius) * (torch.minimum(x, y) < 1)
    one_hot = F.one_hot(labels, 4).view(count, 4, 1, 1)
    ink = (one_hot * torch.stack([disc, box, cross, ring], 1)).sum(1, keepdim=True)
    color = 0.3 + 0.7 * torch.rand(count, 3, 1, 1)
    return TensorDataset(ink * color + 0.3 * torch.randn(count, 3, 16, 16), labels)


scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1
torch.manual_seed(1)
net = nn.Sequential(
    nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    BasicBlock(16, 16, 1),
    BasicBlock(16, 32, 2),
    BasicBlock(32, 64, 2),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(64, 4),
)
test_images, test_labels = draw(500).tensors
loader = DataLoader(draw(2000), batch_size=50, shuffle=True)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
print(sum(p.numel() for p in net.parameters()), "parameters")
for epoch in range(max(1, int(5 * scale))):
    net.train()
    for images, labels in loader:
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        right = (net(test_images).argmax(1) == test_labels).float().mean()
    print(f"epoch {epoch + 1}  right on new pictures {100 * right:.1f} %")
    scheduler.step()
