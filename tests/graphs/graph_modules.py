"""Every module of nn/ with random options, as an op whose inputs are the module's own and then its parameters and
buffers, in the order in which gradus names them. Dropout in training, alone and in others, falls out by gradus's hash.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

from draw import Op, Rejected
from graph_ops import attention, dropout_mask, gaps, near_zero, one, packed_attention, rms_norm

MODULES = {}
ACTIVATIONS = ["relu", "gelu_erf", "gelu_tanh", "silu", "tanh", "sigmoid"]  # enum class Activation, in its order


def module(name, draw, torch, **more):
    MODULES["nn." + name] = Op(draw, torch, **more)


def parameters(g, *shapes):
    return [g.tensor(shape) if g.coin(0.3) else g.leaf(shape) for shape in shapes]


def modest(g, *shapes):
    """A quarter as large: weights of layers in layers."""
    return [g.leaf(shape, values=g.numbers(shape, "any") / 4 if g.style == "fine" else None) for shape in shapes]


def fits(g, *shapes):
    if any(math.prod(shape) > 4 * g.cap for shape in shapes):
        raise Rejected("large")


# ---- layers

def linear(g):
    x = g.tensor(low=1)
    shapes = [[g.size(), g.shape_of(x)[-1]]]
    if shapes[0][0] == 0 or shapes[0][1] == 0:
        raise Rejected("a Linear has at least one input and one output")
    bias = g.coin(0.7)
    fits(g, *shapes)
    return [x] + parameters(g, *shapes, *([shapes[0][:1]] if bias else [])), {"out": shapes[0][0], "bias": bias}


module("Linear", linear, lambda x, _: F.linear(*x))


def norm(g, bias):
    x = g.tensor(low=1)
    options = {"eps": g.rng.choice([1e-5, 1e-2]), "weight": g.coin(0.7)}
    if bias:
        options["bias"] = g.coin(0.7)
    n = g.shape_of(x)[-1:]
    if n == [0]:
        raise Rejected("a norm has at least one number")
    return [x] + parameters(g, *[n for key in ("weight", "bias") if options.get(key)]), options


def layer_norm(x, o):
    rest = list(x[1:])
    weight, bias = rest.pop(0) if o["weight"] else None, rest.pop(0) if o["bias"] else None
    return F.layer_norm(x[0], x[0].shape[-1:], weight, bias, o["eps"])


module("LayerNorm", lambda g: norm(g, True), layer_norm)
module("RMSNorm", lambda g: norm(g, False), lambda x, o: rms_norm(*x, eps=o["eps"]))


def embedding(g):
    rows, n = g.rng.choice([1, 3, 8, 33]), g.rng.choice([1, 3, 8, 17])
    shape = g.rng.choice([[5], [2, 3], [0], [1, 2, 2]])
    return parameters(g, [rows, n]), {"ids": [g.rng.randrange(rows) for _ in range(math.prod(shape))], "ids_shape": shape}


module("Embedding", embedding,
       lambda x, o: F.embedding(torch.tensor(o["ids"], dtype=torch.long).reshape(o["ids_shape"]), x[0]), moves=True)

for name, f in [("ReLU", F.relu), ("SiLU", F.silu), ("Tanh", torch.tanh), ("Sigmoid", torch.sigmoid),
                ("Identity", torch.clone)]:
    module(name, one(), lambda x, _, f=f: f(x[0]), moves=name in ("ReLU", "Identity"),
           kinks=near_zero if name == "ReLU" else None)
module("GELU", lambda g: ([g.tensor()], {"tanh": g.coin()}),
       lambda x, o: F.gelu(x[0], approximate="tanh" if o["tanh"] else "none"))
module("Softmax", lambda g: (lambda x: ([x], {"dim": g.dim(len(g.shape_of(x)))}))(g.tensor(low=1)),
       lambda x, o: torch.softmax(x[0], o["dim"]))
module("Flatten", one(low=2), lambda x, _: x[0].flatten(1).clone(), moves=True)


def dropped(x, o):
    return x * dropout_mask(x.shape, o["p"], o["seed"]) / (1 - o["p"]) if o["train"] and o["p"] else x.clone()


def dropout_options(g):
    return {"p": g.rng.choice([0, 0, 0.25, 0.5]), "train": g.coin(), "seed": g.rng.randrange(1000)}


module("Dropout", lambda g: ([g.tensor()], dropout_options(g)), lambda x, o: dropped(x[0], o))


# ---- convolutions

def conv(g, dims):
    groups = g.rng.choice([1, 1, 2, 3])
    channels, out = groups * g.rng.choice([1, 1, 2, 3]), groups * g.rng.choice([1, 2, 5])
    kernel = [g.rng.choice([1, 2, 3]) for _ in range(dims)]
    sizes = [g.rng.choice([5, 6, 9, 17, 33][:5 if d == dims - 1 else 3]) for d in range(dims)]
    x = [g.rng.choice([1, 2]), channels] + sizes
    options = {key: [g.rng.choice(choices) for _ in range(dims)]
               for key, choices in [("stride", [1, 1, 2]), ("padding", [0, 0, 1, 2]), ("dilation", [1, 1, 2])]}
    options.update(kernel=kernel, out=out, bias=g.coin(0.7), groups=groups, same=g.coin(0.2))
    if options["same"]:
        options.update(stride=[1] * dims)
    weight = [out, channels // groups] + kernel
    return [g.tensor(x)] + parameters(g, weight, *([[out]] if options["bias"] else [])), options


for dims, f in [(1, F.conv1d), (2, F.conv2d)]:
    module(f"Conv{dims}d", lambda g, dims=dims: conv(g, dims),
           lambda x, o, f=f: f(*x, stride=o["stride"], padding="same" if o["same"] else o["padding"],
                               dilation=o["dilation"], groups=o["groups"]))


def transposed(g, dims):
    groups = g.rng.choice([1, 1, 2, 3])
    channels, out = groups * g.rng.choice([1, 1, 2]), groups * g.rng.choice([1, 2, 3])
    kernel = [g.rng.choice([1, 2, 3]) for _ in range(dims)]
    sizes = [g.rng.choice([3, 4, 7, 17][:4 if d == dims - 1 else 2]) for d in range(dims)]
    x = [g.rng.choice([1, 2]), channels] + sizes
    options = {key: [g.rng.choice(choices) for _ in range(dims)]
               for key, choices in [("stride", [1, 2, 3]), ("padding", [0, 0, 1]), ("dilation", [1, 1, 2])]}
    most = [max(s, d) - 1 for s, d in zip(options["stride"], options["dilation"])]
    options.update(output_padding=[g.rng.randint(0, m) for m in most], kernel=kernel, out=out, bias=g.coin(0.7),
                   groups=groups)
    weight = [channels, out // groups] + kernel
    return [g.tensor(x)] + parameters(g, weight, *([[out]] if options["bias"] else [])), options


for dims, f in [(1, F.conv_transpose1d), (2, F.conv_transpose2d)]:
    module(f"ConvTranspose{dims}d", lambda g, dims=dims: transposed(g, dims),
           lambda x, o, f=f: f(*x, stride=o["stride"], padding=o["padding"], output_padding=o["output_padding"],
                               groups=o["groups"], dilation=o["dilation"]))


def pool(g, dims, largest):
    kernel = [g.rng.choice([1, 2, 3, 4]) for _ in range(dims)]
    x = [g.rng.choice([1, 2]), g.rng.choice([1, 3]), g.rng.choice([3, 5, 8]), g.rng.choice([4, 7, 17])]
    options = {"kernel": kernel, "stride": g.rng.choice([kernel, [1] * dims, [2, 1][:dims], [3, 2][:dims]]),
               "padding": [g.rng.randint(0, size // 2) for size in kernel], "ceil_mode": g.coin(0.3)}
    if not largest:
        options["count_include_pad"] = g.coin(0.7)
    return [g.tensor(x[:2] + x[-dims:])], options


for dims in (1, 2):
    for kind in ("Max", "Avg"):
        f, largest = getattr(F, f"{kind.lower()}_pool{dims}d"), kind == "Max"
        module(f"{kind}Pool{dims}d", lambda g, dims=dims, largest=largest: pool(g, dims, largest),
               lambda x, o, f=f: f(x[0], o["kernel"], o["stride"], o["padding"],
                                   **{key: o[key] for key in ("ceil_mode", "count_include_pad") if key in o}),
               moves=largest, kinks=gaps if largest else None)


def image(g, dims):
    sizes = [g.rng.choice([1, 3, 4, 5, 8]) for _ in range(dims - 1)] + [g.rng.choice([1, 2, 4, 7, 17])]
    return g.tensor([g.rng.choice([1, 2]), g.rng.choice([1, 3])] + sizes)


def adaptive(g, dims):
    return [image(g, dims)], {"size": [g.rng.choice([1, 2, 3, 5]) for _ in range(dims)]}


for name, dims, f in [("AvgPool1d", 1, F.adaptive_avg_pool1d), ("AvgPool2d", 2, F.adaptive_avg_pool2d),
                      ("MaxPool2d", 2, F.adaptive_max_pool2d)]:
    largest = name == "MaxPool2d"
    module(f"Adaptive{name}", lambda g, dims=dims: adaptive(g, dims), lambda x, o, f=f: f(x[0], o["size"]),
           moves=largest, kinks=gaps if largest else None)
module("GlobalAvgPool", lambda g: ([image(g, g.rng.choice([1, 2]))], {}),
       lambda x, _: (F.adaptive_avg_pool1d if x[0].dim() == 3 else F.adaptive_avg_pool2d)(x[0], 1).flatten(1))


def upsample(g):
    dims, mode = g.rng.choice([1, 2, 2]), g.rng.choice(["nearest", "linear"])
    by_size = g.coin()
    return [image(g, dims)], {"size": [g.rng.choice([1, 2, 5, 9]) for _ in range(dims)] if by_size else [],
                              "scale_factor": [] if by_size else [g.rng.choice([2, 3, 1.5, 2.3]) for _ in range(dims)],
                              "linear": mode == "linear", "align_corners": mode == "linear" and g.coin()}


def upsampled(x, o):
    mode = ("linear" if x[0].dim() == 3 else "bilinear") if o["linear"] else "nearest"
    return F.interpolate(x[0], o["size"] or None, o["scale_factor"] or None, mode,
                         o["align_corners"] if o["linear"] else None)


module("Upsample", upsample, upsampled)


def channel_norm(g, dims, affine=0.7):
    B, C = g.rng.choice([1, 2, 5]), g.rng.choice([1, 2, 4, 6])
    x = [B, C] + [g.rng.choice([2, 3, 7]) for _ in range(dims)]
    options = {"eps": g.rng.choice([1e-5, 1e-2]), "affine": g.coin(affine)}
    return [g.tensor(x)] + (parameters(g, [C], [C]) if options["affine"] else []), options


def group_norm(g):
    inputs, options = channel_norm(g, g.rng.choice([0, 1, 2]))
    channels = g.shape_of(inputs[0])[1]
    return inputs, {"groups": g.rng.choice([n for n in (1, 2, 3, 4, 6) if channels % n == 0]), **options}


module("GroupNorm", group_norm, lambda x, o: F.group_norm(x[0], o["groups"], *(x[1:] or [None, None]), o["eps"]))
for dims in (1, 2):
    module(f"InstanceNorm{dims}d", lambda g, dims=dims: channel_norm(g, dims),
           lambda x, o: F.instance_norm(x[0], None, None, *(x[1:] or [None, None]), True, 0.1, o["eps"]))


def batch_norm(g, dims):
    B, C = g.rng.choice([2, 3, 5, 17]), g.rng.choice([1, 3, 8])
    x = [B, C] + [g.rng.choice([1, 3, 7]) for _ in range(dims)]
    options = {"train": g.coin(0.6), "affine": g.coin(0.7), "momentum": g.rng.choice([0.1, 0.5]),
               "eps": g.rng.choice([1e-5, 1e-2]), "running": g.coin(0.3), "track": g.coin(0.8)}
    buffers = [g.leaf([C], grad=False), g.leaf([C], "positive", grad=False)] if options["track"] else []
    options["running"] = options["running"] and options["track"]
    return [g.tensor(x)] + (parameters(g, [C], [C]) if options["affine"] else []) + buffers, options


def batch_normed(x, o):
    """The result; with `running` what the running mean and variance have become."""
    mean, var = (buffer.detach().clone() for buffer in x[-2:]) if o["track"] else (None, None)
    weight, bias = x[1:3] if o["affine"] else (None, None)
    y = F.batch_norm(x[0], mean, var, weight, bias, o["train"] or not o["track"], o["momentum"], o["eps"])
    return torch.cat([mean, var]) if o["running"] else y


module("BatchNorm1d", lambda g: batch_norm(g, g.rng.choice([0, 1])), batch_normed)
module("BatchNorm2d", lambda g: batch_norm(g, 2), batch_normed)


# ---- layers in layers

def mlp(g):
    x = g.tensor(low=1)
    n, hidden = g.shape_of(x)[-1], g.rng.choice([1, 5, 20, 33])
    if n == 0:
        raise Rejected("an MLP has a width")
    bias = g.coin(0.7)
    shapes = [[hidden, n], [hidden], [n, hidden], [n]]
    fits(g, *shapes)
    options = {"hidden": hidden, "bias": bias, "activation": g.rng.randrange(6), **dropout_options(g)}
    return [x] + modest(g, *[shape for shape in shapes if bias or len(shape) == 2]), options


def mlp_of(x, o):
    fc, proj = (x[1:3], x[3:5]) if o["bias"] else (x[1:2], x[2:3])
    function = {"relu": F.relu, "gelu_erf": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
                "silu": F.silu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[ACTIVATIONS[o["activation"]]]
    return dropped(F.linear(function(F.linear(x[0], *fc)), *proj), o)


def mlp_kinks(x, o):
    """ReLU's, before it."""
    fc = x[1:3] if o["bias"] else x[1:2]
    return F.linear(x[0], *fc).abs() if ACTIVATIONS[o["activation"]] == "relu" else torch.ones(1)


module("MLP", mlp, mlp_of, kinks=mlp_kinks, hides=True)


def sequential(g):
    x = g.tensor(low=1, high=3)
    n, hidden, out = g.shape_of(x)[-1], g.rng.choice([2, 6, 17]), g.rng.choice([1, 2, 9])
    if n == 0:
        raise Rejected("a Linear has an input")
    return [x] + modest(g, [hidden, n], [hidden], [hidden], [hidden], [out, hidden], [out]), {"hidden": hidden, "out": out}


module("Sequential", sequential, lambda x, o: F.linear(
    F.layer_norm(torch.tanh(F.linear(x[0], x[1], x[2])), (o["hidden"],), x[3], x[4]), x[5], x[6]), hides=True)


def causal_self_attention(g):
    heads, T = g.rng.choice([1, 2, 3]), g.rng.choice([1, 2, 5, 9, 17, 34])
    C = heads * g.rng.choice([1, 2, 4, 5])
    lengths = [] if g.coin() else [T - T // 3, T // 3, 0]
    x = g.tensor([T, C] if lengths or g.coin(0.3) else [2, T, C])
    bias = g.coin(0.7)
    shapes = [[3 * C, C], [3 * C], [C, C], [C]]
    return [x] + modest(g, *[shape for shape in shapes if bias or len(shape) == 2]), \
        {"heads": heads, "lengths": lengths, "bias": bias, **dropout_options(g)}


def causal_self_attention_of(x, o):
    attn, proj = (x[1:3], x[3:5]) if o["bias"] else (x[1:2], x[2:3])
    T = x[0].size(-2)
    lengths = o["lengths"] or [T] * (x[0].numel() // x[0].size(-1) // T)
    y = packed_attention(F.linear(x[0].flatten(0, -2), *attn), o["heads"], lengths, True)
    return dropped(F.linear(y, *proj).reshape(x[0].shape), o)


module("CausalSelfAttention", causal_self_attention, causal_self_attention_of, hides=True)


def multi_head_attention(g):
    heads = g.rng.choice([1, 2, 3])
    C, T, S = heads * g.rng.choice([1, 2, 4]), g.rng.choice([1, 3, 5, 17]), g.rng.choice([1, 3, 5, 34])
    cross = g.coin()
    kv = g.rng.choice([1, 5, C]) if cross else C
    bias = g.coin(0.7)
    shapes = [shape for shape in ([C, C], [C], [C, kv], [C], [C, kv], [C], [C, C], [C]) if bias or len(shape) == 2]
    x = [g.tensor([2, T, C])] + ([g.tensor([2, S, kv])] if cross else [])
    return x + modest(g, *shapes), {"heads": heads, "bias": bias, "causal": g.coin(), "cross": cross, "kv_dim": kv,
                                    **dropout_options(g)}


def multi_head_attention_of(x, o):
    query, memory = x[0], x[1] if o["cross"] else x[0]
    rest = list(x[2 if o["cross"] else 1:])
    layers = [[rest.pop(0), rest.pop(0)] if o["bias"] else [rest.pop(0)] for _ in range(4)]
    q, k, v = (F.linear(given, *layer).unflatten(-1, (o["heads"], -1)).transpose(1, 2)
               for given, layer in zip((query, memory, memory), layers))
    return dropped(F.linear(attention(q, k, v, o["causal"]).transpose(1, 2).flatten(2), *layers[3]), o)


module("MultiHeadAttention", multi_head_attention, multi_head_attention_of, hides=True)


# ---- recurrent: PyTorch's own cells and layers with these parameters

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def cell(g, kind):
    B, I, H = g.rng.choice([1, 2, 5]), g.rng.choice([1, 3, 9]), g.rng.choice([1, 4, 17])
    gates, bias = GATES[kind], g.coin(0.7)
    state = [[B, H]] * (2 if kind == "LSTM" else 1)
    shapes = [[gates * H, I], [gates * H, H]] + ([[gates * H], [gates * H]] if bias else [])
    return [g.tensor([B, I])] + [g.tensor(shape) for shape in state] + modest(g, *shapes), \
        {"bias": bias, "relu": kind == "RNN" and g.coin(0.3)}


def with_parameters(module, given):
    for key, value in zip([key for key, _ in module.named_parameters()], given):
        del module._parameters[key]
        setattr(module, key, value)
    return module


def cell_of(kind, x, o):
    more = {"nonlinearity": "relu"} if o["relu"] else {}
    states = 2 if kind == "LSTM" else 1
    made = with_parameters(getattr(nn, f"{kind}Cell")(x[0].size(1), x[1].size(1), o["bias"], **more), x[1 + states:])
    y = made(x[0], tuple(x[1:3]) if kind == "LSTM" else x[1])
    return torch.cat(y) if kind == "LSTM" else y


def rnn_kinks(x, o):
    return torch.zeros(1) if o["relu"] else torch.ones(1)


def recurrent(g, kind):
    B, T, I, H = g.rng.choice([1, 2, 3]), g.rng.choice([1, 2, 5]), g.rng.choice([1, 3]), g.rng.choice([1, 4, 9])
    options = {"num_layers": g.rng.choice([1, 1, 2, 3]), "bidirectional": g.coin(0.4), "bias": g.coin(0.7), "hidden": H,
               "relu": kind == "RNN" and g.coin(0.3), "state": g.coin()}
    directions, gates = 2 if options["bidirectional"] else 1, GATES[kind]
    state = [[options["num_layers"] * directions, B, H]] * (2 if kind == "LSTM" else 1) if options["state"] else []
    shapes = []
    for layer in range(options["num_layers"]):
        one = [[gates * H, directions * H if layer else I], [gates * H, H]]
        shapes += (one + ([[gates * H], [gates * H]] if options["bias"] else [])) * directions
    return [g.tensor([B, T, I])] + [g.tensor(shape) for shape in state] + modest(g, *shapes), options


def recurrent_of(kind, x, o):
    more = {"nonlinearity": "relu"} if o["relu"] else {}
    states = (2 if kind == "LSTM" else 1) if o["state"] else 0
    made = getattr(nn, kind)(x[0].size(2), o["hidden"], o["num_layers"], o["bias"], batch_first=True,
                             bidirectional=o["bidirectional"], **more)
    made._flat_weights = list(x[1 + states:])
    given = [tuple(x[1:3]) if kind == "LSTM" else x[1]] if states else []
    y, last = made(x[0], *given)
    return torch.cat([y.flatten(), *(state.flatten() for state in (last if kind == "LSTM" else (last,)))])


for kind in GATES:
    module(f"{kind}Cell", lambda g, kind=kind: cell(g, kind), lambda x, o, kind=kind: cell_of(kind, x, o), kinks=rnn_kinks,
           hides=True)
    module(kind, lambda g, kind=kind: recurrent(g, kind), lambda x, o, kind=kind: recurrent_of(kind, x, o), kinks=rnn_kinks,
           hides=True)


# ---- positions

def positions(g, even=False):
    T, C = g.rng.choice([1, 3, 5, 17]), g.rng.choice([1, 2, 4]) * 2 if even else g.size() or 1
    return g.tensor([2] * g.rng.choice([0, 1, 2]) + [T, C]), T, C


def learned(g):
    x, T, C = positions(g)
    return [x] + parameters(g, [T + g.rng.choice([0, 3]), C]), {}


def angles(rows, frequencies, base, start=0):
    theta = base ** (-torch.arange(frequencies, dtype=torch.float64) / frequencies)
    return (start + torch.arange(rows, dtype=torch.float64))[:, None] * theta


def sinusoidal(x, o):
    """Vaswani et al. 2017, section 3.5."""
    turns = angles(x[0].size(-2), x[0].size(-1) // 2, o["base"])
    return x[0] + torch.stack([turns.sin(), turns.cos()], -1).flatten(1).to(x[0].dtype)


def rotary(x, o):
    """Su et al. 2021: both halves are a complex number, turned by e^(i t theta)."""
    half = x[0].size(-1) // 2
    turns = angles(x[0].size(-2), half, o["base"], o["start"])
    cos, sin = turns.cos().to(x[0].dtype), turns.sin().to(x[0].dtype)
    a, b = x[0][..., :half], x[0][..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


module("LearnedPositions", learned, lambda x, _: x[0] + x[1][:x[0].size(-2)])
module("SinusoidalPositions", lambda g: ([positions(g, True)[0]], {"base": g.rng.choice([10000.0, 100.0])}), sinusoidal)
module("RotaryPositions", lambda g: ([positions(g, True)[0]],
                                     {"base": g.rng.choice([10000.0, 100.0]), "start": g.rng.choice([0, 7])}), rotary)
