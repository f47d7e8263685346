"""Every row of the op table (tests/core/ops/rows) in PyTorch: `make reference` has build/bin/correctness write the rows
to ops.json, which record() reads, so that no case stands here. Here is what the rows' Python calls beside PyTorch:
what gradus has rules of its own for, and what this version of PyTorch lacks.
"""
import json
import math
import random
from pathlib import Path

import torch
from torch.nn import functional as F

from store import values

INF = float("inf")
ROWS = Path(__file__).parent / "ops.json"


def variance(x, dims, keepdim, correction=1):
    """torch.var of this version takes whole corrections only."""
    if correction in (0, 1):
        return torch.var(x, dims, unbiased=correction == 1, keepdim=keepdim)
    count = math.prod(x.size(d) for d in dims)
    squares = (x - x.mean(dims, keepdim=True)).square()
    return squares.sum(dims, keepdim=keepdim) / (count - correction)


def product(x, dims, keepdim):
    """torch.prod takes one dimension."""
    for d in sorted((d % x.dim() for d in dims), reverse=True):
        x = x.prod(d, keepdim=keepdim)
    return x


def rms_norm(x, weight=None, eps=1e-5):
    """Zhang & Sennrich 2019, equation 4 with eps; this version of PyTorch has none."""
    y = x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)
    return y if weight is None else y * weight


def picks(count, below, every_third=None):
    """The ids and targets of the op table."""
    return torch.tensor([(i * 7 + 3) % below if every_third is None or i % 3 != 1 else every_third
                         for i in range(count)])


def targets(x):
    return picks(x.numel() // x.size(-1), x.size(-1), -1)


def gathered(x, dim):
    """rows/gather.cpp: seven of the dimension's elements."""
    shape = [7 if d == dim else size for d, size in enumerate(x.shape)]
    return x.gather(dim, picks(math.prod(shape), x.size(dim)).reshape(shape))


def scattered(x, dim, source):
    return x.scatter_add(dim, picks(source.numel(), x.size(dim)).reshape(source.shape), source)


def ragged(rows):
    """The document lengths of rows/attention.cpp."""
    lengths = []
    for length in (0, 1, 2, 5, 53, 11, 0):
        lengths.append(min(length, rows))
        rows -= lengths[-1]
    while rows > 0:
        lengths.append(min(17, rows))
        rows -= lengths[-1]
    return lengths


def attention(q, k, v, causal=False, scale=None):
    """Vaswani et al. 2017, equation 1. Causal: the last query sees every key; one that sees none gives 0."""
    T, S, D = q.size(-2), k.size(-2), q.size(-1)
    scores = q @ k.mT * (scale if scale else 1 / math.sqrt(D))
    if causal:
        hidden = torch.ones(T, S, dtype=torch.bool).triu(1 + S - T)
        blind = hidden.all(dim=1, keepdim=True)
        scores = scores.masked_fill(hidden & ~blind, -INF)
        return (torch.softmax(scores, -1) * (~blind).to(q.dtype)) @ v
    return torch.softmax(scores, -1) @ v


def packed_attention(qkv, heads, lengths, causal, scale=None):
    """(N, 3 C) -> (N, C): each document and head by itself."""
    width = qkv.size(1) // (3 * heads)
    parts = []
    for document in qkv.split(lengths):
        q, k, v = (x.unflatten(1, (heads, width)).transpose(0, 1) for x in document.chunk(3, dim=1))
        parts.append(attention(q, k, v, causal, scale).transpose(0, 1).flatten(1))
    return torch.cat(parts)


def dropout_mask(shape, p, seed):
    """gradus keeps no mask: element i falls out when a hash of i and of two draws from a Mersenne Twister, as a
    fraction, is below p. Which elements fall out is gradus's own choice; what that does to the rest is torch's."""
    word = 0xFFFFFFFF
    state = [seed]
    for i in range(1, 624):  # std::mt19937's seeding
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) & word)
    engine = random.Random()
    engine.setstate((3, tuple(state) + (624,), None))
    high, low = engine.getrandbits(32), engine.getrandbits(32)

    def murmur(h):
        h ^= h >> 16
        h = h * 0x85EBCA6B & word
        h ^= h >> 13
        h = h * 0xC2B2AE35 & word
        return h ^ h >> 16

    kept = [(murmur(murmur((low + i) & word) ^ high) >> 8) / 16777216 >= p for i in range(torch.Size(shape).numel())]
    return torch.tensor(kept).reshape(shape)


def there_and_back(x):
    return x.to(torch.float32 if x.dtype == torch.float64 else torch.float64).to(x.dtype)


def cross_entropy(x, ignored, smoothing):
    targets = picks(x.numel() // x.size(-1), x.size(-1), None if ignored == -1 else ignored)
    return F.cross_entropy(x.reshape(-1, x.size(-1)), targets, ignore_index=ignored, label_smoothing=smoothing)


def pool2d(pool, x, kernel, stride, padding, **more):
    """This PyTorch wants channels."""
    y = pool(x.reshape((1, -1) + x.shape[-2:]), kernel, stride=stride, padding=padding, **more)
    return y.reshape(x.shape[:-2] + y.shape[-2:])


def function(row):
    """What the row is in PyTorch, as a function of its inputs."""
    if row["torch"]:
        f = eval("lambda x: " + row["torch"], globals())
        return lambda *x: f(x)
    f = getattr(torch, row["op"], None) or getattr(F, row["op"], None)
    if f is None:
        raise SystemExit(f"neither torch nor torch.nn.functional has '{row['op']}': give its row {row['name']} a .torch")
    return f


def inputs(row):
    if "values" in row:
        return [torch.tensor(x, dtype=torch.float64).reshape(shape) for x, shape in zip(row["values"], row["shapes"])]
    seeds = [row["name"]] if len(row["shapes"]) == 1 else [f"{row['name']}{i}" for i in range(len(row["shapes"]))]
    return [values(seed, shape, domain) for seed, shape, domain in zip(seeds, row["shapes"], row["domains"])]


def rows():
    return json.loads(ROWS.read_text())


def record(store):
    for row in rows():
        store.case(row["name"], function(row), inputs(row), constants=row["constants"])
