#!/usr/bin/env python3
"""The work of benchmarks/step.cpp and kernels.cpp in PyTorch, under the same names.

Serves compare.py: each line on stdin is `name threads seconds`; the answer is a line of JSON with the median seconds of
one repetition of that work, warmed up, over as many repetitions as fit, and the process's peak memory in bytes.
Where PyTorch has two ways, both are tried and the faster one is timed.
Needs Debian's python3-torch and libopenblas0-openmp.
"""
import json
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
    # PyTorch 1.13 has no fused attention; baddbmm at least scales and masks within the product.
    B, H, T, D = q.shape
    q, k, v = (t.reshape(B * H, T, D) for t in (q, k, v))
    weights = torch.baddbmm(mask, q, k.transpose(-2, -1), alpha=D**-0.5)
    return (F.softmax(weights, dim=-1) @ v).view(B, H, T, D)


def causal(length):
    return torch.full((length, length), float("-inf")).triu(1)


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


def step(layers, heads, width, context, vocabulary, bias, batch, length=None, foreach=False):
    length = length or context
    model = GPT(layers, heads, width, context, vocabulary, bias)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1, foreach=foreach
    )
    tokens, targets = (torch.randint(vocabulary, (batch, length)) for _ in range(2))
    mask = causal(length)

    def run():
        loss = F.cross_entropy(model(tokens, mask).view(-1, vocabulary), targets.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return run


def solver(inputs, width, activation):
    return nn.Sequential(
        nn.Linear(inputs, width), activation(), nn.Linear(width, width), activation(),
        nn.Linear(width, width), activation(), nn.Linear(width, 1),
    )


def derivative(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def oscillator(foreach):
    net, t = solver(1, 32, nn.Tanh), (4 * torch.rand(256, 1)).requires_grad_()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, foreach=foreach)

    def run():
        u = net(t)
        u_t = derivative(u, t)
        loss = (derivative(u_t, t) + u_t + 16 * u).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return run


def eikonal(foreach):
    net, x = solver(2, 64, nn.Softplus), torch.rand(256, 2, requires_grad=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, foreach=foreach)

    def run():
        loss = (derivative(net(x), x).square().sum(1).sqrt() - 1).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return run


def forward(op, leaves):
    @torch.no_grad()
    def run():
        op(*leaves)

    return run


def backward(op, leaves):
    weight = torch.ones_like(op(*leaves))

    def prepare():
        for x in leaves:
            x.grad = None
        run.y = op(*leaves)

    def run():
        run.y.backward(weight)

    run.prepare = prepare
    return run


def forward_backward(op, leaves):
    weight = torch.ones_like(op(*leaves))

    def run():
        op(*leaves).backward(weight)
        for x in leaves:
            x.grad = None

    return run


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def adamw(foreach):
    weight = leaf(50257, 768)
    weight.grad = torch.ones_like(weight)
    optimizer = torch.optim.AdamW([weight], lr=1e-4, foreach=foreach)

    def run():
        torch.nn.utils.clip_grad_norm_([weight], 1.0)
        optimizer.step()

    return run


def attention(length):
    mask = causal(length)
    return lambda q, k, v: attend(q, k, v, mask), [leaf(4, 12, length, 64) for _ in range(3)]


def ids(count):
    return torch.randint(50257, (count,))


SOLVERS = {"pinn_width32": oscillator, "eikonal_width64": eikonal}
MODES = {"forward": forward, "backward": backward, "forward_backward": forward_backward}
OPS = {
    "softmax": lambda: (lambda x: F.softmax(x, dim=-1), [leaf(12 * 1024, 1024)]),
    "layer_norm": lambda: (lambda x, w, b: F.layer_norm(x, (768,), w, b), [leaf(4096, 768), leaf(768), leaf(768)]),
    "gelu": lambda: (lambda x: F.gelu(x, approximate="tanh"), [leaf(4096, 3072)]),
    "cross_entropy": lambda: (lambda x, t=ids(1024): F.cross_entropy(x, t), [leaf(1024, 50257)]),
    "embedding": lambda: (lambda w, t=ids(4096): F.embedding(t, w), [leaf(50257, 768)]),
    "attention_T1024": lambda: attention(1024),
    "attention_T2048": lambda: attention(2048),
}
STEPS = {
    "names_width16_batch1": (1, 4, 16, 16, 27, False, 1),
    "layers1_width64_context16_batch16": (1, 4, 64, 16, 65, False, 16),
    "shakespeare_layers4_width128": (4, 4, 128, 64, 65, False, 12),
    "layers6_width384_context256_batch8": (6, 6, 384, 256, 65, False, 8),
    "gpt2_124M_4x64": (12, 12, 768, 1024, 50257, True, 4, 64),
    "gpt2_124M_4x256": (12, 12, 768, 1024, 50257, True, 4, 256),
}


def ways(name):
    """Functions that each make the work, in their own way."""
    mode, work = name.split("/")
    if work in SOLVERS:
        return [lambda foreach=foreach: SOLVERS[work](foreach) for foreach in (False, True)]
    if mode == "step":
        return [lambda foreach=foreach: step(*STEPS[work], foreach=foreach) for foreach in (False, True)]
    if mode == "update":
        return [lambda foreach=foreach: adamw(foreach) for foreach in (False, True)]
    return [lambda: MODES[mode](*OPS[work]())]


def seconds(run):
    """Of one run. What a function `prepare` of it does beforehand is not timed."""
    getattr(run, "prepare", lambda: None)()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fastest(name):
    """The faster way, and the peak memory of the first one: trying the others is not the work's memory."""
    best, memory = (float("inf"), None), 0
    for make in ways(name):
        run = make()
        seconds(run)
        time_needed = seconds(run)
        if time_needed < 0.1:
            time_needed = min(seconds(run) for _ in range(10))
        memory = memory or peak()
        best = min(best, (time_needed, run), key=lambda pair: pair[0])
        del run
    return best[1], memory


def main():
    torch.set_flush_denormal(True)
    made = {}
    for line in sys.stdin:
        name, threads, patience = line.split()
        torch.manual_seed(1)
        if name not in made:
            made = {name: fastest(name)}
        torch.set_num_threads(int(threads))
        run, memory = made[name]
        # The other side has had the caches in between. What takes longer than they take to fill warms itself.
        times = [seconds(run)]
        if times[0] < 0.1:
            times = []
        while not times or sum(times) < float(patience):
            times.append(seconds(run))
        print(json.dumps({"seconds": statistics.median(times), "peak": memory}), flush=True)


if __name__ == "__main__":
    main()
