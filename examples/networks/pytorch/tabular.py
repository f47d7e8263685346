# What does a flat cost? A network for tables: standardized numbers, missing ones marked, an embedding of the district.
import csv
import math
import random
import sys

import torch
import torch.nn as nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Prices(nn.Module):
    def __init__(self):
        super().__init__()
        self.district = nn.Embedding(5, 3)
        self.mlp = nn.Sequential(
            nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
        )

    def forward(self, numbers, district):
        return self.mlp(torch.cat([self.district(district), numbers], 1))


def write_flats(path, rows):
    prices = {"harbor": 3.5, "hill": 6, "north": 2, "old town": 5, "park": 4}
    with open(path, "w") as file:
        file.write("district,area,floor,age,price\n")
        for i in range(rows):
            district = random.choice(list(prices))
            area = random.randint(30, 120)
            floor = random.randrange(8)
            age = random.randrange(80)
            view = 1 + 0.05 * floor if district in ("harbor", "hill") else 1
            price = prices[district] * area * view * (0.6 + 0.4 * math.exp(-age / 30)) + random.gauss(0, 15)
            file.write(f"{district},{area},{floor},{'' if i % 6 == 0 else age},{price:.1f}\n")


scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1
torch.manual_seed(1)
random.seed(1)
write_flats("flats.csv", 2000)
with open("flats.csv") as file:
    table = list(csv.DictReader(file))
numbers = torch.tensor([[float(row[n] or "nan") for n in ("area", "floor", "age")] for row in table])
price = torch.tensor([[float(row["price"])] for row in table])
names = sorted({row["district"] for row in table})
district = torch.tensor([names.index(row["district"]) for row in table])

order = torch.randperm(len(table))
train_rows, validation_rows = order[:1600], order[1600:]
mean = torch.nanmean(numbers[train_rows], 0)
std = torch.nanmean((numbers[train_rows] - mean) ** 2, 0).sqrt()
price_mean, price_std = price[train_rows].mean(), price[train_rows].std(unbiased=False)
scaled = (numbers - mean) / std
missing = scaled.isnan()
x = torch.cat([scaled.masked_fill(missing, 0), missing.float()], 1)
y = (price - price_mean) / price_std
train = TensorDataset(x[train_rows], district[train_rows], y[train_rows])
loader = DataLoader(train, batch_size=32, shuffle=True)


def error(guess):
    return F.l1_loss(guess * price_std + price_mean, price[validation_rows]).item()


net = Prices()
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
baseline = error(torch.zeros(len(validation_rows), 1))
for epoch in range(1, int(20 * scale) + 1):
    for numbers, districts, target in loader:
        loss = F.mse_loss(net(numbers, districts), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        guess = net(x[validation_rows], district[validation_rows])
    if epoch % 4 == 0:
        print(f"epoch {epoch:2}  off by {error(guess):.1f}")
print(f"always the mean price: off by {baseline:.1f}, noise alone: {15 * math.sqrt(2 / math.pi):.1f}")
