# A network that solves u'' = -u with u(0) = 0 and u(3 pi / 2) = -1 (Raissi et al. 2019): it becomes sin(x).
import math
import sys

import torch
from torch import nn

scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
torch.manual_seed(1)
end = 1.5 * math.pi
u = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)).to(torch.float64)


def derivative(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


ends = torch.tensor([[0.0], [end]], dtype=torch.float64)
values = torch.tensor([[0.0], [-1.0]], dtype=torch.float64)
adam = torch.optim.Adam(u.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.StepLR(adam, 1000, gamma=0.3)
for step in range(int(3000 * scale)):
    x = (end * torch.rand(64, 1, dtype=torch.float64)).requires_grad_()
    y = u(x)
    residual = derivative(derivative(y, x), x) + y
    loss = residual.square().mean() + 10 * nn.functional.mse_loss(u(ends), values)
    adam.zero_grad()
    loss.backward()
    adam.step()
    scheduler.step()
    if step % 500 == 0:
        print(f"step {step:4}  loss {loss.item():.2e}")

grid = torch.linspace(0, end, 200, dtype=torch.float64).unsqueeze(1)
with torch.no_grad():
    print(f"largest error against sin(x): {(u(grid) - grid.sin()).abs().max().item():.1e}")
