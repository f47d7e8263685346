# A mixture density network (Bishop 1994): to one x belong several y. It writes mdn.svg.
import math
import sys

import torch
from torch import nn

scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
torch.manual_seed(1)


class MDN(nn.Module):
    def __init__(self, hidden, mixtures):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.heads = nn.Linear(hidden, 3 * mixtures)

    def forward(self, x):
        weights, mean, log_std = self.heads(self.body(x)).chunk(3, dim=1)
        return weights.log_softmax(1), mean, log_std

    def negative_log_likelihood(self, x, y):
        log_weights, mean, log_std = self(x)
        distance = (y - mean) / log_std.exp()
        log_density = -0.5 * distance.square() - log_std - 0.5 * math.log(2 * math.pi)
        return -torch.logsumexp(log_weights + log_density, 1).mean()

    def sample(self, x):
        log_weights, mean, log_std = self(x)
        chosen = torch.multinomial(log_weights.exp(), 1)
        mean, std = mean.gather(1, chosen), log_std.gather(1, chosen).exp()
        return mean + std * torch.randn_like(mean)


def curve(count):
    y = torch.rand(count, 1)
    return y + 0.3 * torch.sin(2 * math.pi * y) + 0.03 * torch.randn(count, 1), y


x, y = curve(1000)
net = MDN(32, 5)
adam = torch.optim.Adam(net.parameters(), lr=0.003)
for step in range(int(3000 * scale)):
    loss = net.negative_log_likelihood(x, y)
    adam.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    adam.step()
    if step % 500 == 0:
        print(f"step {step:4}  negative log likelihood {loss.item():.3f}")

with torch.no_grad():
    new_x, new_y = curve(1000)
    print(f"negative log likelihood of new points {net.negative_log_likelihood(new_x, new_y).item():.3f}")
    drawn = net.sample(new_x)
with open("mdn.svg", "w") as file:
    file.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="-0.2 -0.2 1.4 1.4">\n')
    for points_x, points_y, color in ((x, y, "#bbb"), (new_x, drawn, "#dc3912")):
        for a, b in zip(points_x.flatten().tolist(), points_y.flatten().tolist()):
            file.write(f'<circle cx="{a:.3f}" cy="{1 - b:.3f}" r="0.004" fill="{color}"/>\n')
    file.write("</svg>\n")
