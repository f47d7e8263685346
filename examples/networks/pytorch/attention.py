# Sorting by attention: a small GPT reads eight digits and writes them down in order (nanoGPT's slow path).
import math
import sys

import torch
import torch.nn as nn
from torch.nn import functional as F

length, n_embd, n_head = 8, 48, 4


class CausalSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(n_embd, dim=2)
        q = q.view(B, T, n_head, C // n_head).transpose(1, 2)
        k = k.view(B, T, n_head, C // n_head).transpose(1, 2)
        v = v.view(B, T, n_head, C // n_head).transpose(1, 2)
        mask = torch.tril(torch.ones(T, T))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(mask == 0, float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd)
        self.attn = CausalSelfAttention()
        self.ln_2 = nn.LayerNorm(n_embd)
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(10, n_embd)
        self.wpe = nn.Embedding(2 * length, n_embd)
        self.h = nn.ModuleList([Block(), Block()])
        self.ln_f = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, 10)

    def forward(self, digits):
        x = self.wte(digits) + self.wpe(torch.arange(digits.size(1)))
        for block in self.h:
            x = block(x)
        return self.head(self.ln_f(x))


scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1
torch.manual_seed(1)
model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(int(500 * scale)):
    digits = torch.randint(0, 10, (64, length))
    ordered = digits.sort(1).values
    logits = model(torch.cat([digits, ordered], 1)[:, :-1])
    loss = F.cross_entropy(logits[:, length - 1 :].flatten(0, 1), ordered.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3}  loss {loss.item():.4f}")

with torch.no_grad():
    digits = torch.randint(0, 10, (500, length))
    text = digits
    for _ in range(length):
        text = torch.cat([text, model(text)[:, -1].argmax(-1, keepdim=True)], 1)
    written = text[:, length:]
    right = (written == digits.sort(1).values).all(1)
    print(digits[0].tolist(), "->", written[0].tolist())
    print(f"sorted without a mistake: {100 * right.float().mean():.1f} % of 500 new rows")
