# A network that solves u'' + 2 d u' + w^2 u = 0 with u(0) = 1 and u'(0) = 0 (Raissi et al. 2019).
import math
import sys

import torch
from torch import nn

scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
torch.manual_seed(1)
end, d, w = 4.0, 0.5, 4.0
net = nn.Sequential(
    nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
).to(torch.float64)
t = torch.linspace(0, end, 100, dtype=torch.float64).unsqueeze(1).requires_grad_()


def derivative(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def loss():
    u = net(t)
    u_t = derivative(u, t)
    residual = derivative(u_t, t) + 2 * d * u_t + w * w * u
    return (residual / w).square().mean() + (u[0] - 1).square().sum() + (u_t[0] / w).square().sum()


adam = torch.optim.Adam(net.parameters(), lr=0.005)
for step in range(int(2000 * scale)):
    now = loss()
    adam.zero_grad()
    now.backward()
    adam.step()
    if step % 500 == 0:
        print(f"Adam   step {step:4}  loss {now.item():.2e}")
lbfgs = torch.optim.LBFGS(net.parameters(), tolerance_change=0, line_search_fn="strong_wolfe")


def closure():
    now = loss()
    lbfgs.zero_grad()
    now.backward()
    return now


for step in range(int(200 * scale)):
    now = lbfgs.step(closure)
    if step % 50 == 0:
        print(f"L-BFGS step {20 * step:4}  loss {now.item():.2e}")

grid = torch.linspace(0, end, 400, dtype=torch.float64).unsqueeze(1)
with torch.no_grad():
    solved = net(grid)
f = math.sqrt(w * w - d * d)
exact = (-d * grid).exp() * ((f * grid).cos() + d / f * (f * grid).sin())
print(f"largest error against the exact solution: {(solved - exact).abs().max().item():.1e}")
with open("pinn.svg", "w") as file:
    file.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="-0.2 -1.2 4.4 2.4">\n')
    for y, color, width in ((exact, "#bbb", 0.04), (solved, "#dc3912", 0.012)):
        points = " ".join(f"{a:.3f},{-b:.3f}" for a, b in zip(grid.flatten().tolist(), y.flatten().tolist()))
        file.write(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}"/>\n')
    file.write("</svg>\n")
