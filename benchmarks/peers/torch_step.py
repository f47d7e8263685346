#!/usr/bin/env python3
"""The training steps of benchmarks/step.cpp in PyTorch: median microseconds a step for 1 and 2 threads.

Needs Debian's python3-torch and libopenblas0-openmp; run with /usr/bin/python3 benchmarks/peers/torch_step.py
"""
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, HEADS = 65, 4


class Block(nn.Module):
    def __init__(self, width, context):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.fc, self.proj = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.register_buffer("mask", torch.tril(torch.ones(context, context)) == 0, persistent=False)

    def forward(self, x):  # (B, T, C)
        B, T, C = x.shape
        q, k, v = (t.view(B, T, HEADS, C // HEADS).transpose(1, 2) for t in self.c_attn(self.ln_1(x)).split(C, dim=2))
        weights = (q @ k.transpose(-2, -1) * (C // HEADS) ** -0.5).masked_fill(self.mask, float("-inf"))
        y = (F.softmax(weights, dim=-1) @ v).transpose(1, 2).reshape(B, T, C)
        x = x + self.c_proj(y)
        return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, layers, width, context):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, context) for _ in range(layers))
        self.ln_f, self.lm_head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def measure(layers, width, context, batch, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = GPT(layers, width, context)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    tokens, targets = (torch.randint(VOCABULARY, (batch, context)) for _ in range(2))

    def step():
        loss = F.cross_entropy(model(tokens).view(-1, VOCABULARY), targets.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(20):
        step()
    times = []
    while len(times) < 20 or sum(times) < 2:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


for size in [(1, 16, 16, 1), (1, 64, 16, 16), (4, 128, 64, 12)]:
    name = "layers{}_width{}_context{}_batch{}".format(*size)
    for threads in (1, 2):
        print(f"{name:40} threads {threads}  {measure(*size, threads):10.1f} us", flush=True)
