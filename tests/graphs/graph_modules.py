"""Every module of nn/ with random options, as an op whose inputs are the module's own and then its parameters and
buffers, in the order in which gradus names them. Dropout in training, alone and in others, falls out by gradus's hash.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.nn.utils.stateless import functional_call

from draw import Op, Rejected
from graph_ops import attention_with, dropout_mask, gaps, near_zero, one, packed_attention, rms_norm

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


def lora(g):
    x = g.tensor(low=1)
    out, n = g.size(), g.shape_of(x)[-1]
    if out == 0 or n == 0:
        raise Rejected("a LoRA has at least one input and one output")
    rank = g.rng.randint(1, min(out, n, 4))
    shapes = [[rank, n], [out, rank]]
    fits(g, *shapes)
    return [x] + parameters(g, *shapes), {"out": out, "rank": rank, "alpha": g.rng.choice([1.0, 4.0, 16.0])}


module("LoRA", lora, lambda x, o: F.linear(F.linear(x[0], x[1]), x[2]) * (o["alpha"] / o["rank"]), hides=True)


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


def prelu(g):
    x = g.tensor()
    several = len(g.shape_of(x)) > 1 and g.shape_of(x)[1] > 0 and g.coin()
    weights = g.shape_of(x)[1] if several else 1
    return [x] + parameters(g, [weights]), {"weights": weights}


def gated(g):
    shape = g.shape(low=1)
    dim = g.dim(len(shape))
    shape[dim] = 2 * g.rng.choice([0, 1, 2, 5])
    return [g.tensor(shape)], {"dim": dim}


def swiglu(x, o):
    """Shazeer 2020, equation 6 between the projections."""
    a, b = x[0].chunk(2, o["dim"])
    return F.silu(a) * b


module("PReLU", prelu, lambda x, _: F.prelu(*x), kinks=lambda x, o: near_zero(x[:1], o))
module("GLU", gated, lambda x, o: F.glu(x[0], o["dim"]))
module("SwiGLU", gated, swiglu)
module("Lambda", one(), lambda x, _: x[0] * torch.sigmoid(x[0]))


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
    # Images of one channel take another path in PyTorch, and "nearest" other elements there.
    image = x[0].repeat(1, 2, 1, 1) if x[0].dim() == 4 and x[0].size(1) == 1 else x[0]
    y = F.interpolate(image, o["size"] or None, o["scale_factor"] or None, mode,
                      o["align_corners"] if o["linear"] else None)
    return y[:, :x[0].size(1)]


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


def chain(g):
    x = g.tensor(low=1, high=3)
    n, hidden, out = g.shape_of(x)[-1], g.rng.choice([2, 6]), g.rng.choice([1, 9])
    if n == 0:
        raise Rejected("a Linear has an input")
    return [x] + modest(g, [hidden, n], [hidden], [out, hidden], [out]), {"hidden": hidden, "out": out}


for name in ("ModuleList", "ModuleDict"):
    module(name, chain, lambda x, _: F.linear(torch.tanh(F.linear(*x[:3])), *x[3:]), hides=True)


def one_dropout(g):
    """On the output or on attention weights: only the first draw from the generator is known here."""
    options = dropout_options(g)
    options["attn_p"] = g.rng.choice([0, 0, 0.25, 0.5]) if not options["p"] else 0
    return options


def dropped_weights(o):
    return lambda weights: dropped(weights, {**o, "p": o["attn_p"]})


def mask_options(g, B, heads, T, S):
    """Key 0 stays in sight: PyTorch 1.13 has NaN for a query that sees none."""
    kind = g.rng.choice(["none", "hidden", "quarters", "quarters of heads"])
    each = B * heads if kind == "quarters of heads" else 1
    return {"hidden": [int(i % S > 0 and g.coin(0.3)) for i in range(T * S)] if kind == "hidden" else [],
            "quarters": [g.rng.randint(-8, 8) for _ in range(each * T * S)] if kind.startswith("quarters") else [],
            "padding": padding(g, B, S)}


def padding(g, B, S):
    return [int(i % S > 0 and g.coin(0.3)) for i in range(B * S)] if g.coin() else []


def masks_of(o, B, T, S, dtype):
    """PyTorch's attn_mask and key_padding_mask."""
    mask = torch.tensor(o["hidden"], dtype=torch.bool).reshape(T, S) if o["hidden"] else None
    if o["quarters"]:
        mask = torch.tensor(o["quarters"], dtype=dtype).reshape(-1, T, S).squeeze(0) / 4
    return mask, torch.tensor(o["padding"], dtype=torch.bool).reshape(B, S) if o["padding"] else None


def causal_self_attention(g):
    heads, T = g.rng.choice([1, 2, 3]), g.rng.choice([1, 2, 5, 9, 17, 34])
    C = heads * g.rng.choice([1, 2, 4, 5])
    lengths = [] if g.coin() else [T - T // 3, T // 3, 0]
    x = g.tensor([T, C] if lengths or g.coin(0.3) else [2, T, C])
    bias = g.coin(0.7)
    shapes = [[3 * C, C], [3 * C], [C, C], [C]]
    return [x] + modest(g, *[shape for shape in shapes if bias or len(shape) == 2]), \
        {"heads": heads, "lengths": lengths, "bias": bias, "attn_p": 0,
         **(dropout_options(g) if lengths else one_dropout(g))}


def causal_self_attention_of(x, o):
    attn, proj = (x[1:3], x[3:5]) if o["bias"] else (x[1:2], x[2:3])
    T = x[0].size(-2)
    qkv = F.linear(x[0].flatten(0, -2), *attn)
    if o["lengths"]:
        y = packed_attention(qkv, o["heads"], o["lengths"], True)
    else:
        q, k, v = qkv.reshape(-1, T, 3, o["heads"], x[0].size(-1) // o["heads"]).permute(2, 0, 3, 1, 4)
        y = attention_with(q, k, v, True, dropped=dropped_weights(o)).transpose(1, 2).flatten(2).flatten(0, 1)
    return dropped(F.linear(y, *proj).reshape(x[0].shape), o)


module("CausalSelfAttention", causal_self_attention, causal_self_attention_of, hides=True)


def multi_head_attention(g):
    heads = g.rng.choice([1, 2, 3])
    C, T, S = heads * g.rng.choice([1, 2, 4]), g.rng.choice([1, 3, 5, 17]), g.rng.choice([1, 3, 5, 34])
    cross = g.coin()
    kv = g.rng.choice([1, 5, C]) if cross else C
    bias = g.coin(0.7)
    kv_heads = g.rng.choice([n for n in (0, 1, 2, 3) if n == 0 or heads % n == 0])
    W = C // heads * (kv_heads or heads)
    shapes = [shape for shape in ([C, C], [C], [W, kv], [W], [W, kv], [W], [C, C], [C]) if bias or len(shape) == 2]
    x = [g.tensor([2, T, C])] + ([g.tensor([2, S, kv])] if cross else [])
    return x + modest(g, *shapes), {"heads": heads, "kv_heads": kv_heads, "bias": bias, "causal": g.coin(), "cross": cross,
                                    "kv_dim": kv, **mask_options(g, 2, heads, T, S if cross else T), **one_dropout(g)}


def multi_head_attention_of(x, o):
    query, memory = x[0], x[1] if o["cross"] else x[0]
    rest = list(x[2 if o["cross"] else 1:])
    layers = [[rest.pop(0), rest.pop(0)] if o["bias"] else [rest.pop(0)] for _ in range(4)]
    heads, kv_heads = o["heads"], o["kv_heads"] or o["heads"]
    q, k, v = (F.linear(given, *layer).unflatten(-1, (n, -1)).transpose(1, 2)
               for given, layer, n in zip((query, memory, memory), layers, (heads, kv_heads, kv_heads)))
    k, v = (x.repeat_interleave(heads // kv_heads, 1) for x in (k, v))
    mask, ignored = masks_of(o, *query.shape[:2], memory.size(1), query.dtype)
    hidden = mask if o["hidden"] else None
    if ignored is not None:
        hidden = ignored[:, None, None] if hidden is None else hidden | ignored[:, None, None]
    bias = (mask if mask.dim() == 2 else mask.unflatten(0, (-1, heads))) if o["quarters"] else None
    y = attention_with(q, k, v, o["causal"], hidden=hidden, bias=bias, dropped=dropped_weights(o))
    return dropped(F.linear(y.transpose(1, 2).flatten(2), *layers[3]), o)


module("MultiHeadAttention", multi_head_attention, multi_head_attention_of, hides=True)


# ---- PyTorch's own modules with these parameters

def called_with(made, given, *inputs, **more):
    return functional_call(made, dict(zip([name for name, _ in made.named_parameters()], given)), inputs, more)


def multihead_attention(g):
    heads = g.rng.choice([1, 2, 3])
    C, T, S = heads * g.rng.choice([1, 2, 4]), g.rng.choice([1, 3, 17]), g.rng.choice([1, 5, 34])
    shapes = [[3 * C, C], [3 * C], [C, C], [C]]
    bias = g.coin(0.7)
    return [g.tensor([2, n, C]) for n in (T, S, S)] + modest(g, *[x for x in shapes if bias or len(x) == 2]), \
        {"heads": heads, "bias": bias, **mask_options(g, 2, heads, T, S)}


def multihead_attention_of(x, o):
    made = nn.MultiheadAttention(x[0].size(-1), o["heads"], bias=o["bias"], batch_first=True)
    mask, ignored = masks_of(o, 2, x[0].size(1), x[1].size(1), x[0].dtype)
    return called_with(made, x[3:], *x[:3], attn_mask=mask, key_padding_mask=ignored)[0]


module("MultiheadAttention", multihead_attention, multihead_attention_of, hides=True)


def transformer(g, kind):
    heads, T, S = g.rng.choice([1, 2]), g.rng.choice([1, 3, 5]), g.rng.choice([1, 4])
    C, ff = heads * g.rng.choice([2, 4]), g.rng.choice([1, 6])
    attention, decodes = [[3 * C, C], [3 * C], [C, C], [C]], "Decoder" in kind
    layer = attention * (2 if decodes else 1) + [[ff, C], [ff], [C, ff], [C]] + [[C]] * (6 if decodes else 4)
    layers = 1 if kind.endswith("Layer") else g.rng.choice([1, 2])
    shapes = layer * layers + ([] if kind.endswith("Layer") else [[C], [C]])
    options = {"heads": heads, "ff": ff, "layers": layers, "norm_first": g.coin(), "eps": g.rng.choice([1e-5, 1e-2]),
               "activation": ACTIVATIONS.index(g.rng.choice(["relu", "gelu_erf", "gelu_erf"])),
               **mask_options(g, 2, heads, T, T)}
    if decodes:
        options["memory_padding"] = padding(g, 2, S)
    return [g.tensor([2, n, C]) for n in ((T, S) if decodes else (T,))] + modest(g, *shapes), options


def transformer_of(kind, x, o):
    decodes, C = "Decoder" in kind, x[0].size(-1)
    layer_kind = nn.TransformerDecoderLayer if decodes else nn.TransformerEncoderLayer
    made = layer_kind(C, o["heads"], o["ff"], 0, "relu" if ACTIVATIONS[o["activation"]] == "relu" else "gelu", o["eps"],
                      batch_first=True, norm_first=o["norm_first"])
    if not kind.endswith("Layer"):
        made = getattr(nn, kind)(made, o["layers"], nn.LayerNorm(C, o["eps"]))
    mask, ignored = masks_of(o, 2, x[0].size(1), x[0].size(1), x[0].dtype)
    if decodes:
        later = masks_of({"hidden": [], "quarters": [], "padding": o["memory_padding"]}, 2, 0, x[1].size(1), x[0].dtype)[1]
        return called_with(made, x[2:], *x[:2], tgt_mask=mask, tgt_key_padding_mask=ignored, memory_key_padding_mask=later)
    names = {"mask": mask} if kind == "TransformerEncoder" else {"src_mask": mask}
    return called_with(made, x[1:], x[0], src_key_padding_mask=ignored, **names)


for kind in ("TransformerEncoderLayer", "TransformerEncoder", "TransformerDecoderLayer", "TransformerDecoder"):
    module(kind, lambda g, kind=kind: transformer(g, kind), lambda x, o, kind=kind: transformer_of(kind, x, o), hides=True,
           kinks=lambda x, o: torch.full((1,), float(ACTIVATIONS[o["activation"]] != "relu")))


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
               "relu": kind == "RNN" and g.coin(0.3), "state": g.coin(),
               "lengths": [g.rng.randint(1, T) for _ in range(B)] if g.coin(0.4) else []}
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
    lengths = o["lengths"]
    y, last = made(pack_padded_sequence(x[0], lengths, True, enforce_sorted=False) if lengths else x[0], *given)
    if lengths:
        y = pad_packed_sequence(y, True, total_length=x[0].size(1))[0]
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
