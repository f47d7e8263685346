# A variational autoencoder (Kingma & Welling 2014) of digits of a font, drawn in random sizes and places.
import sys
from random import randint, seed

import torch
import torch.nn as nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

latent = 10
font = (
    "111101101101111010110010010111111001111100111111001111001111101101111001001"
    "111100111001111111100111101111111001001010010111101111101111111101111001111"
)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(256, 400)
        self.fc21 = nn.Linear(400, latent)
        self.fc22 = nn.Linear(400, latent)
        self.fc3 = nn.Linear(latent, 400)
        self.fc4 = nn.Linear(400, 256)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        std = torch.exp(0.5 * logvar)
        return self.decode(mu + torch.randn_like(std) * std), mu, logvar


def losses(vae, x):
    drawn, mu, logvar = vae(x)
    lost = F.binary_cross_entropy(drawn, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return lost, divergence


def draw(count):
    glyphs = torch.tensor([float(c) for c in font]).view(10, 1, 5, 3)
    pictures = []
    for i in range(count):
        h, w = randint(11, 14), randint(8, 11)
        top, left = randint(0, 16 - h), randint(0, 16 - w)
        glyph = F.interpolate(glyphs[i % 10 : i % 10 + 1], size=(h, w), mode="bilinear")
        pictures.append(F.pad(glyph, (left, 16 - w - left, top, 16 - h - top)))
    return torch.cat(pictures).flatten(1)


scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1
torch.manual_seed(1)
seed(1)
vae = VAE()
test = draw(500)
loader = DataLoader(draw(3000), batch_size=50, shuffle=True)
optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)
for epoch in range(int(60 * scale)):
    for x in loader:
        lost, divergence = losses(vae, x)
        optimizer.zero_grad()
        (lost + divergence).backward()
        optimizer.step()
    with torch.no_grad():
        lost, divergence = losses(vae, test)
    if epoch % 10 == 0:
        print(f"epoch {epoch:2}  new digits: lost {lost / 500:.1f}  code {divergence / 500:.1f} nats")

with torch.no_grad():
    ink = vae.decode(torch.randn(40, latent)).flatten().tolist()
with open("vae.svg", "w") as svg:
    svg.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 170 68">\n')
    for i, value in enumerate(ink):
        x, y = 17 * (i // 256 % 10) + i % 16, 17 * (i // 2560) + i % 256 // 16
        shade = int(255 - 255 * value)
        if shade < 250:
            svg.write(f'<rect x="{x}" y="{y}" width="1" height="1" fill="rgb({shade},{shade},{shade})"/>\n')
    svg.write("</svg>\n")
