#!/usr/bin/env python3
"""The work of benchmarks/step.cpp, kernels.cpp and matmul.cpp in PyTorch, under the same names.

Serves compare.py: each line on stdin is `name threads seconds`; the answer is one line, the median seconds of one
repetition of that work, warmed up, over as many repetitions as fit, and the process's peak memory in bytes.
Needs Debian's python3-torch and libopenblas0-openmp.
"""
import re
import resource
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class LayerNorm(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


class Block(nn.Module):
    def __init__(self, width, heads, bias):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = LayerNorm(width, bias), LayerNorm(width, bias)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)
        self.fc, self.proj = nn.Linear(width, 4 * width, bias=bias), nn.Linear(4 * width, width, bias=bias)

    def forward(self, x, mask):  # (B, T, C)
        B, T, C = x.shape
        q, k, v = (
            t.view(B, T, self.heads, C // self.heads).transpose(1, 2)
            for t in self.c_attn(self.ln_1(x)).split(C, dim=2)
        )
        x = x + self.c_proj(attend(q, k, v, mask).transpose(1, 2).reshape(B, T, C))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


def attend(q, k, v, mask):
    weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).masked_fill(mask, float("-inf"))
    return F.softmax(weights, dim=-1) @ v


def causal(length):
    return torch.tril(torch.ones(length, length)) == 0


class GPT(nn.Module):
    def __init__(self, layers, heads, width, context, vocabulary, bias):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads, bias) for _ in range(layers))
        self.ln_f, self.lm_head = LayerNorm(width, bias), nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens, mask):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x, mask)
        return self.lm_head(self.ln_f(x))


def step(layers, heads, width, context, vocabulary, bias, batch, length=None):
    length = length or context
    model = GPT(layers, heads, width, context, vocabulary, bias)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    tokens, targets = (torch.randint(vocabulary, (batch, length)) for _ in range(2))
    mask = causal(length)

    def run():
        loss = F.cross_entropy(model(tokens, mask).view(-1, vocabulary), targets.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return run


def forward_backward(op, *leaves):
    weight = torch.ones_like(op(*leaves))

    def run():
        op(*leaves).backward(weight)
        for x in leaves:
            x.grad = None

    return run


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def adamw():
    weight = leaf(50257, 768)
    weight.grad = torch.ones_like(weight)
    optimizer = torch.optim.AdamW([weight], lr=1e-4)

    def run():
        torch.nn.utils.clip_grad_norm_([weight], 1.0)
        optimizer.step()

    return run


def attention():
    mask = causal(1024)
    return forward_backward(lambda q, k, v: attend(q, k, v, mask), *(leaf(4, 12, 1024, 64) for _ in range(3)))


WORK = {
    "step/names_width16_batch1": lambda: step(1, 4, 16, 16, 27, False, 1),
    "step/layers1_width64_context16_batch16": lambda: step(1, 4, 64, 16, 65, False, 16),
    "step/shakespeare_layers4_width128": lambda: step(4, 4, 128, 64, 65, False, 12),
    "step/layers6_width384_context256_batch8": lambda: step(6, 6, 384, 256, 65, False, 8),
    "step/gpt2_124M_4x64": lambda: step(12, 12, 768, 1024, 50257, True, 4, 64),
    "step/gpt2_124M_4x256": lambda: step(12, 12, 768, 1024, 50257, True, 4, 256),
    "forward_backward/softmax": lambda: forward_backward(lambda x: F.softmax(x, dim=-1), leaf(12 * 1024, 1024)),
    "forward_backward/layer_norm": lambda: forward_backward(
        lambda x, w, b: F.layer_norm(x, (768,), w, b), leaf(4096, 768), leaf(768), leaf(768)
    ),
    "forward_backward/gelu": lambda: forward_backward(lambda x: F.gelu(x, approximate="tanh"), leaf(4096, 3072)),
    "forward_backward/cross_entropy": lambda: forward_backward(
        lambda x, t=torch.randint(50257, (1024,)): F.cross_entropy(x, t), leaf(1024, 50257)
    ),
    "forward_backward/embedding": lambda: forward_backward(
        lambda w, t=torch.randint(50257, (4096,)): F.embedding(t, w), leaf(50257, 768)
    ),
    "forward_backward/attention": attention,
    "adamw_and_clip": adamw,
}


def product(m, n, k, a_transposed, b_transposed):
    a = torch.randn(k, m).t() if a_transposed == "t" else torch.randn(m, k)
    b = torch.randn(n, k).t() if b_transposed == "t" else torch.randn(k, n)
    return lambda: a @ b


def make(name):
    sizes = re.fullmatch(r"matmul/(\d+)x(\d+)x(\d+)_([nt])([nt])", name)
    if sizes:
        return product(*map(int, sizes.groups()[:3]), *sizes.groups()[3:])
    return WORK[name]()


def main():
    made = {}
    for line in sys.stdin:
        name, threads, seconds = line.split()
        torch.set_num_threads(int(threads))
        torch.manual_seed(1)
        if name not in made:
            made[name] = make(name)
        run = made[name]
        run()
        run()
        times = []
        while len(times) < 5 or sum(times) < float(seconds):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(statistics.median(times), peak, flush=True)


if __name__ == "__main__":
    main()
