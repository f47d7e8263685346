"""Every op of core/ops.h: how to draw its inputs and options, and what it is in PyTorch. The name and the options are
those of registry.cpp; an op with several forms has a name for each ("sum", "sum_dims").

Where gradus has a rule of its own, it stands here: an attention's causal mask lets the last query see every key, and a
query that sees none gives 0; a cross entropy without targets is 0; dropout falls out by gradus's own hash; equal maxima
share the gradient, but for max_pool2d, whose first one gets it.
"""
import math
import re
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "reference"))
from ops import attention, dropout_mask, function, inputs, packed_attention, rms_norm, rows, variance  # noqa: E402

from draw import Op, Rejected  # noqa: E402

OPS = {}


def op(name, draw, torch, **more):
    OPS[name] = Op(draw, torch, **more)


def one(domain="any", **shape):
    return lambda g: ([g.tensor(domain=domain, **shape)], {})


def near_zero(x, _):
    return x[0].abs()


def gaps(x, _):
    """Between neighbours in size."""
    return x[0].flatten().sort().values.diff()


# ---- pointwise

# A row of the op table says enough: what an op in unary.def or binary.def is in PyTorch, where it is defined, and
# whether it moves values or has a kink at 0.
KERNELS = Path(__file__).parent.parent.parent / "core/kernels"
ROWS = {}
for row in rows():
    ROWS.setdefault(row["op"], []).append(row)


def formulas(file, macro):
    return re.findall(rf"^{macro}\((\w+)", (KERNELS / file).read_text(), re.M)


DRAWN = {"positive": "positive", "part": "part", "low": "small"}  # where a row's inputs are of less than any size


def near_halves(x, _):
    return (x[0] * 2 - (x[0] * 2).round()).abs() / 2


KINKS = {"maximum": lambda x, _: (x[0] - x[1]).abs(), "minimum": lambda x, _: (x[0] - x[1]).abs(),
         "fmod": lambda x, _: near_halves([x[0] / x[1]], _), "remainder": lambda x, _: near_halves([x[0] / x[1]], _),
         "atan2": lambda x, _: x[0].abs() + 8 * (x[1] >= 0),  # it jumps where x[1] < 0
         "hardswish": lambda x, _: (x[0].abs() - 3).abs(),
         **{name: near_halves for name in ("sign", "floor", "ceil", "round", "trunc")}}
for name in formulas("unary.def", "UNARY") + ["gelu_erf", "gelu_tanh"]:
    first, domains = ROWS[name][0], {row["domains"][0] for row in ROWS[name] if "domains" in row}
    op(name, one(next((DRAWN[d] for d in DRAWN if d in domains), "any")),
       lambda x, _, f=function(first): f(x[0]), moves=name in ("neg", "abs", "relu"),
       kinks=KINKS.get(name, near_zero if "nonzero" in domains else None))


def pow_number(g):
    exponent = g.rng.choice([2, 3, -1, 0.5, -1.5, 0, 1, 4, 1.75])
    return [g.tensor(domain="small" if exponent in (0, 1, 2, 3, 4) else "nonzero" if exponent == -1 else "positive")], \
        {"exponent": exponent}


op("pow_number", pow_number, lambda x, o: torch.pow(x[0], o["exponent"]))
op("clamp", lambda g: ([g.tensor()], {"low": g.rng.choice([-1.0, -0.5, -30.0]), "high": g.rng.choice([-0.5, 0.5, 1.0])}),
   lambda x, o: torch.clamp(x[0], o["low"], o["high"]), moves=True,
   kinks=lambda x, o: torch.minimum((x[0] - o["low"]).abs(), (x[0] - o["high"]).abs()))


def broadcast(g, count):
    """Shapes that fit each other: leading dimensions left out, sizes replaced by 1."""
    whole = g.shape()
    shapes = [[1 if g.coin(0.25) else size for size in whole] for _ in range(count)]
    return [shape[g.rng.randint(0, len(shape)):] if g.coin(0.3) else shape for shape in shapes]


def two(*domains):
    def draw(g):
        a = g.tensor(domain=domains[0])
        if g.coin():
            return [a, g.tensor(g.shape_of(a), domains[1])], {}
        if g.coin():
            other = [1 if g.coin(0.4) else size for size in g.shape_of(a)]
            b = g.tensor(other[g.rng.randint(0, len(other)):] if g.coin(0.3) else other, domains[1])
            return [a, b], {}
        return [g.tensor(shape, domain) for shape, domain in zip(broadcast(g, 2), domains)], {}
    return draw


for name in formulas("binary.def", "BINARY"):
    row = next(row for row in ROWS[name] if len(row["shapes"]) == 2)  # pow has rows for a number as well
    op(name, two(*(["positive", "small"] if name == "pow" else row["domains"])), lambda x, _, f=function(row): f(*x),
       moves=name in ("maximum", "minimum"), kinks=KINKS.get(name))
for name, f in [("add_number", lambda x, n: x + n), ("sub_from_number", lambda x, n: n - x),
                ("mul_number", lambda x, n: x * n), ("div_number", lambda x, n: x / n)]:
    op(name, lambda g: ([g.tensor()], {"number": g.rng.choice([0.5, -2.0, 3.0, 1.0])}),
       lambda x, o, f=f: f(x[0], o["number"]))


def where(g):
    shapes = broadcast(g, 3)
    if g.coin(0.4):
        shapes = [shapes[1]] * 3
    return [g.tensor(shapes[0], "flags", grad=g.coin(0.1)), g.tensor(shapes[1]), g.tensor(shapes[2])], {}


op("where", where, lambda x, _: torch.where(x[0] != 0, x[1], x[2]), moves=True)


# ---- shape

def reshape(g):
    x = g.tensor()
    count = g.values[x].numel()
    shapes = [[count], [1, count], [count, 1], g.shape_of(x) + [1], [1] + g.shape_of(x)]
    shapes += [[count // k, k] for k in (2, 3, 4) if count % k == 0]
    return [x], {"shape": g.rng.choice([shape for shape in shapes if len(shape) <= 5])}


def permute(g):
    x = g.tensor()
    dims = g.some(len(g.shape_of(x)), least=9)
    return [x], {"dims": dims}


def slice_(g):
    x = g.tensor(low=1)
    dim = g.dim(len(g.shape_of(x)))
    size = g.shape_of(x)[dim]
    begin = g.rng.randint(0, size)
    return [x], {"dim": dim, "begin": begin, "end": g.rng.randint(begin, size)}


def concat(g):
    x = g.tensor(low=1)
    shape = g.shape_of(x)
    dim = g.dim(len(shape))
    parts = [x]
    for _ in range(g.rng.randint(0, 2)):
        other = list(shape)
        if g.coin():
            other[dim] = g.size()
        parts.append(g.tensor(g.fitted(other)))
    return parts, {"dim": dim}


def stack(g):
    x = g.tensor(high=3)
    return [x] + [g.tensor(g.shape_of(x)) for _ in range(g.rng.randint(0, 2))], {"dim": g.dim(len(g.shape_of(x)) + 1)}


def broadcast_to(g):
    x = g.tensor(high=3)
    shape = [g.size() if size == 1 else size for size in g.shape_of(x)]
    return [x], {"shape": [g.size() for _ in range(g.rng.choice([0, 0, 1]))] + shape}


op("reshape", reshape, lambda x, o: x[0].reshape(o["shape"]), moves=True)
op("permute", permute, lambda x, o: x[0].permute(o["dims"]).contiguous(), moves=True)
op("transpose", lambda g: (lambda x: ([x], {"dim0": g.dim(len(g.shape_of(x))), "dim1": g.dim(len(g.shape_of(x)))}))(
    g.tensor(low=2)), lambda x, o: x[0].transpose(o["dim0"], o["dim1"]).contiguous(), moves=True)
op("slice", slice_, lambda x, o: x[0].narrow(o["dim"], o["begin"], o["end"] - o["begin"]).clone(), moves=True)
op("concat", concat, lambda x, o: torch.cat(x, o["dim"]), moves=True)
op("stack", stack, lambda x, o: torch.stack(x, o["dim"]), moves=True)
op("broadcast_to", broadcast_to, lambda x, o: torch.broadcast_to(x[0], o["shape"]).clone(), moves=True)
op("detach", one(), lambda x, _: x[0].detach().clone(), moves=True)
# To f64 and back: to f32 would round values and gradients, where a last bit decides.
op("to", one(), lambda x, _: x[0].to(torch.float64).to(x[0].dtype), moves=True)


# ---- reductions

def some_dims(g, **more):
    x = g.tensor(low=1)
    return [x], {"dims": g.some(len(g.shape_of(x))), "keepdim": g.coin(), **more}


for name, f, kinks in [("sum", lambda x, d, k: x.sum(d, keepdim=k), None),
                       ("mean", lambda x, d, k: x.mean(d, keepdim=k), None),
                       ("max", lambda x, d, k: x.amax(d, keepdim=k), gaps)]:
    op(name, one(), lambda x, _, f=f: f(x[0], tuple(range(x[0].dim())), False), moves=name == "max", kinks=kinks)
    op(f"{name}_dims", some_dims, lambda x, o, f=f: f(x[0], o["dims"], o["keepdim"]), moves=name == "max", kinks=kinks)
op("var", one(low=1), lambda x, _: x[0].var())


def var_dims(x, o):
    if math.prod(x[0].size(d) for d in o["dims"]) <= o["correction"]:
        raise Rejected("NaN")
    return variance(x[0], tuple(o["dims"]), o["keepdim"], o["correction"])


op("var_dims", lambda g: some_dims(g, correction=g.rng.choice([1, 0, 0.5])), var_dims)
op("argmax", lambda g: (lambda x: ([x], {"dim": g.dim(len(g.shape_of(x)))}))(g.tensor(low=1)),
   lambda x, o: x[0].detach().argmax(o["dim"]).flatten().to(x[0].dtype), moves=True, kinks=gaps)


# ---- products

def matmul(g):
    m, k, n = g.size(), g.size(), g.size()
    if g.coin(0.3):
        m = k = n  # so that a tensor may meet itself
    flags = {"transpose_a": g.coin(0.3), "transpose_b": g.coin(0.3)}
    a = [k, m] if flags["transpose_a"] else [m, k]
    b = [n, k] if flags["transpose_b"] else [k, n]
    kind = g.rng.choice(["plain"] * 4 + ["batch"] * 4 + ["vectors"])
    if kind == "vectors":
        flags = {"transpose_a": False, "transpose_b": False}
        a, b = g.rng.choice([([k], [k]), ([m, k], [k]), ([k], [k, n]), ([2, m, k], [k]), ([k], [3, k, n])])
    if kind == "batch":
        lead = g.rng.choice([([2], [2]), ([2], []), ([], [3]), ([2, 1], [3]), ([1], [2]), ([2, 3], [2, 1]), ([0], [0])])
        a, b = lead[0] + a, lead[1] + b
    if max(math.prod(a), math.prod(b)) > 4 * g.cap:
        raise Rejected("large")
    return [g.tensor(a), g.tensor(b)], flags


def linear(g):
    x = g.tensor(low=1)
    n, out = g.shape_of(x)[-1], g.size()
    if n * out > 4 * g.cap:
        raise Rejected("large")
    return [x, g.tensor([out, n])] + ([g.tensor([out])] if g.coin(0.7) else []), {}


op("matmul", matmul, lambda x, o: (x[0].mT if o["transpose_a"] else x[0]) @ (x[1].mT if o["transpose_b"] else x[1]))
op("linear", linear, lambda x, _: F.linear(*x))


# ---- over one dimension

for name, f in [("softmax", torch.softmax), ("log_softmax", torch.log_softmax)]:
    op(name, lambda g: (lambda x: ([x], {"dim": g.dim(len(g.shape_of(x)))}))(g.tensor(low=1)),
       lambda x, o, f=f: f(x[0], o["dim"]))


def norm(bias):
    def draw(g):
        x = g.tensor(low=1)
        rest = [g.tensor(g.shape_of(x)[-1:]) for _ in range(g.rng.choice([0, 1, 2 if bias else 1]))]
        return [x] + rest, {"eps": g.rng.choice([1e-5, 1e-2])}
    return draw


op("layer_norm", norm(True), lambda x, o: F.layer_norm(x[0], x[0].shape[-1:], *(x[1:] + [None, None])[:2], o["eps"]))
op("rms_norm", norm(False), lambda x, o: rms_norm(*x, eps=o["eps"]))


# ---- networks

def embedding(g):
    weight = g.tensor(low=2, high=2)
    rows = g.shape_of(weight)[0]
    shape = g.rng.choice([[g.rng.randint(0, 9)], [2, 3], [1, 2, 2], []])
    return [weight], {"ids": [g.rng.randrange(rows) if rows else 0 for _ in range(math.prod(shape))], "ids_shape": shape}


op("embedding", embedding, lambda x, o: F.embedding(torch.tensor(o["ids"], dtype=torch.long).reshape(o["ids_shape"]), x[0]),
   moves=True)
op("dropout", lambda g: ([g.tensor()], {"p": g.rng.choice([0.25, 0.5, 0.9]), "seed": g.rng.randrange(1000)}),
   lambda x, o: x[0] * dropout_mask(x[0].shape, o["p"], o["seed"]) / (1 - o["p"]))


def cross_entropy(g):
    x = g.tensor(low=1)
    *lead, V = g.shape_of(x)
    ignored = g.rng.choice([-1, -1, -100, 0])
    some = g.rng.choice([0, 0, 0.3, 1])
    targets = [ignored if g.coin(some) or not V else g.rng.randrange(V) for _ in range(math.prod(lead))]
    return [x], {"targets": targets, "ignore_index": ignored, "label_smoothing": g.rng.choice([0, 0, 0.1, 0.5])}


def cross_entropy_of(x, o):
    if len(o["targets"]) != math.prod(x[0].shape[:-1]):
        raise Rejected("one target a row")
    if all(target == o["ignore_index"] for target in o["targets"]):
        return x[0].sum() * 0
    return F.cross_entropy(x[0].reshape(-1, x[0].size(-1)), torch.tensor(o["targets"]), ignore_index=o["ignore_index"],
                           label_smoothing=o["label_smoothing"])


op("cross_entropy", cross_entropy, cross_entropy_of)


def loss(*domains, **options):
    def draw(g):
        x = g.tensor(domain=domains[0])
        return [x, g.tensor(g.shape_of(x), domains[1])], {key: g.rng.choice(value) for key, value in options.items()}
    return draw


op("mse_loss", loss("any", "any"), lambda x, _: F.mse_loss(*x))
op("l1_loss", loss("any", "any"), lambda x, _: F.l1_loss(*x), kinks=lambda x, _: (x[0] - x[1]).abs())
op("huber_loss", loss("any", "any", delta=[1, 0.5, 2.5]), lambda x, o: F.huber_loss(*x, delta=o["delta"]))
op("binary_cross_entropy_with_logits", loss("any", "probability"), lambda x, _: F.binary_cross_entropy_with_logits(*x))


def kl_div(g):
    x = g.tensor(low=1)
    return [x, g.tensor(g.shape_of(x), "positive")], {}


op("kl_div", kl_div, lambda x, _: F.kl_div(*x, reduction="batchmean"))


def conv1d(g):
    kernel, dilation = g.rng.choice([1, 2, 3, 5]), g.rng.choice([1, 1, 2])
    length = g.size() + g.rng.choice([0, dilation * (kernel - 1)])
    channels, out = g.rng.choice([1, 2, 3]), g.rng.choice([1, 2, 5])
    x, weight = [g.rng.choice([0, 1, 1, 2, 2]), channels, length], [out, channels, kernel]
    return [g.tensor(shape) for shape in ([x, weight, [out]] if g.coin(0.7) else [x, weight])], \
        {"stride": g.rng.choice([1, 1, 2, 3]), "padding": g.rng.choice([0, 0, 1, 3]), "dilation": dilation}


def conv2d(g):
    pair = [g.rng.choice([1, 1, 2]), g.rng.choice([1, 1, 2])]
    kernel = [g.rng.choice([1, 2, 3]), g.rng.choice([1, 2, 3, 4])]
    channels, out = g.rng.choice([1, 2, 3]), g.rng.choice([1, 2, 5])
    x = [g.rng.choice([0, 1, 1, 2, 2]), channels, g.rng.choice([3, 4, 5, 7]), g.rng.choice([4, 5, 9, 17, 34])]
    weight = [out, channels] + kernel
    return [g.tensor(shape) for shape in ([x, weight, [out]] if g.coin(0.7) else [x, weight])], \
        {"stride": [g.rng.choice([1, 1, 2]), g.rng.choice([1, 2])],
         "padding": [g.rng.choice([0, 0, 1]), g.rng.choice([0, 1, 2])], "dilation": pair}


for name, draw, f in [("conv1d", conv1d, F.conv1d), ("conv2d", conv2d, F.conv2d)]:
    op(name, draw, lambda x, o, f=f: f(*x, stride=o["stride"], padding=o["padding"], dilation=o["dilation"]))


def pool(g):
    lead = [g.rng.choice([1, 2, 3]) for _ in range(g.rng.choice([0, 1, 2]))]
    kernel = [g.rng.choice([1, 2, 3]), g.rng.choice([1, 2, 3])]
    options = {"kernel": kernel, "stride": g.rng.choice([kernel, [1, 1], [2, 1], [1, 2]]),
               "padding": [g.rng.randint(0, kernel[0] // 2), g.rng.randint(0, kernel[1] // 2)]}
    return [g.tensor(lead + [g.rng.choice([3, 4, 5, 8]), g.rng.choice([3, 4, 7, 17, 34])])], options


def pooled(f):
    def compute(x, o):
        size = x[0].shape
        y = f(x[0].reshape(1, -1, *size[-2:]), o["kernel"], o["stride"], o["padding"])
        return y.reshape(*size[:-2], *y.shape[-2:])
    return compute


op("max_pool2d", pool, pooled(F.max_pool2d), moves=True, kinks=gaps)
op("avg_pool2d", pool, pooled(F.avg_pool2d))


def scale_of(g):
    """Where logits are large a power of two, so that equal ones stay equal."""
    return g.rng.choice([1.0, 0.5] if g.style == "large" else [0, 0, 0.5, 0.3])


def scaled_dot_product_attention(g):
    T, S, D, E = g.size(), g.size(), g.rng.choice([1, 2, 4, 5, 17, max(1, g.size())]), g.size()
    kind = g.rng.random()
    if kind < 0.6:
        T, E = S, D
    elif kind < 0.7:
        E = D
    lead = g.rng.choice([[], [], [2], [1], [2, 2]])
    if math.prod(lead) * max(T * S, T * D, S * D, S * E) > 4 * g.cap:
        raise Rejected("large")
    inputs = [g.tensor(lead + shape) for shape in ([T, D], [S, D], [S, E])]
    if g.coin(0.3):
        inputs.append(g.tensor(g.rng.choice([lead + [T, S], [T, S], [1, S], [S]])))  # added to the scores
    return inputs, {"causal": g.coin(), "scale": scale_of(g), "seed": g.rng.randrange(1000),
                    "seen": [int(g.coin(0.7)) for _ in range(T * S)] if g.coin(0.3) else [],
                    "p": 0.25 if g.coin(0.2) else 0}


def attention_with(q, k, v, causal=False, scale=None, hidden=None, bias=None, dropped=None):
    """Vaswani et al. 2017, equation 1, with everything that acts on scores and weights. A query that sees no key: 0."""
    T, S = q.size(-2), k.size(-2)
    scores = q @ k.mT * (scale if scale else 1 / math.sqrt(q.size(-1)))
    if bias is not None:
        scores = scores + bias
    none = torch.zeros(T, S, dtype=torch.bool)
    hidden = none if hidden is None else hidden
    hidden = hidden | (torch.ones(T, S, dtype=torch.bool).triu(1 + S - T) if causal else none)
    blind = hidden.all(dim=-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(hidden & ~blind, -math.inf), -1) * (~blind).to(q.dtype)
    return (weights if dropped is None else dropped(weights)) @ v


def scaled_dot_product_attention_of(x, o):
    hidden = torch.tensor(o["seen"]).reshape(x[0].size(-2), x[1].size(-2)) == 0 if o["seen"] else None
    if not o["seen"] and not o["p"] and len(x) == 3:
        return attention(*x, o["causal"], o["scale"])
    return attention_with(*x[:3], o["causal"], o["scale"], hidden, x[3] if len(x) > 3 else None,
                          lambda w: w * dropout_mask(w.shape, o["p"], o["seed"]) / (1 - o["p"]) if o["p"] else w)


def packed(g):
    heads, width = g.rng.choice([1, 2, 3]), g.rng.choice([1, 2, 4, 5, 9])
    lengths = [g.rng.choice([0, 1, 2, 3, 5, 9, 17, 33]) for _ in range(g.rng.choice([1, 2, 3]))]
    if sum(lengths) * heads * width * 3 > 8 * g.cap:
        raise Rejected("large")
    return [g.tensor([sum(lengths), 3 * heads * width])], \
        {"heads": heads, "lengths": lengths, "causal": g.coin(0.7), "scale": scale_of(g)}


op("scaled_dot_product_attention", scaled_dot_product_attention, scaled_dot_product_attention_of, hides=True)
op("packed_attention", packed, lambda x, o: packed_attention(x[0], o["heads"], o["lengths"], o["causal"], o["scale"]),
   hides=True)


# ---- any op, with the sizes that a row of the op table gives it

# Not "to": gradients rounded to f32 may round either way.
CASES = {row["name"]: row for row in rows() if "domains" in row and row["op"] != "to"}
COMPUTED = {name: function(row) for name, row in CASES.items()}


def any_row(g):
    row = CASES[g.rng.choice(list(CASES))]
    if sum(map(math.prod, row["shapes"])) > 8 * g.cap:
        raise Rejected("large")
    leaves = [g.leaf(x.shape, grad=False if str(i) in row["constants"] else None, values=x)
              for i, x in enumerate(inputs(row))]
    return leaves, {"row": row["name"]}


op("row", any_row, lambda x, o: COMPUTED[o["row"]](*x), hides=True)
