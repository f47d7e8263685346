"""The modules of nn/ in PyTorch, with the parameter names of gradus. Where PyTorch has the module it is PyTorch's."""
import torch
from torch import nn
from torch.nn import functional as F

from ops import attention, packed_attention, rms_norm
from store import values


def inputs(name, **shapes):
    """Random values for x, y, ..; a double underscore stands for the dot in a parameter's name. Weights of layers in
    layers are a quarter as large, so that the softmax of an attention is not all in one place."""
    return {key.replace("__", "."): values(f"{name}/{key}", shape) / (4 if "__" in key else 1)
            for key, shape in shapes.items()}


def linear(store):
    for name, x, bias in [("Linear_bias", (5, 3), True), ("Linear_no_bias", (2, 3, 17), False)]:
        out = 7
        shapes = {"x": x, "weight": (out, x[-1]), **({"bias": (out,)} if bias else {})}
        store.case(name, F.linear, inputs(name, **shapes))


def norms(store):
    for name, width, keys in [("LayerNorm_weight_and_bias", 7, ("weight", "bias")), ("LayerNorm_weight", 17, ("weight",)),
                              ("LayerNorm_bias", 5, ("bias",)), ("LayerNorm_plain", 6, ())]:
        def layer(x, *rest):
            given = dict(zip(keys, rest))
            return F.layer_norm(x, (x.size(-1),), given.get("weight"), given.get("bias"), 1e-5)

        store.case(name, layer, inputs(name, x=(2, 3, width), **{key: (width,) for key in keys}))
    for name, width, keys in [("RMSNorm_weight", 7, ("weight",)), ("RMSNorm_plain", 17, ())]:
        store.case(name, rms_norm, inputs(name, x=(2, 3, width), **{key: (width,) for key in keys}))


def embedding(store):
    name = "Embedding_ids"
    ids = torch.tensor([[3, 0, 3], [4, 2, 3]], dtype=torch.float64)
    store.case(name, lambda weight, ids: F.embedding(ids.long(), weight), {**inputs(name, weight=(5, 7)), "ids": ids},
               constants=["ids"])


def causal_self_attention(x, heads, lengths, c_attn, c_proj):
    y = packed_attention(F.linear(x.flatten(0, -2), *c_attn), heads, lengths, causal=True)
    return F.linear(y, *c_proj).reshape(x.shape)


def self_attention(store):
    """GPT-2's layout: one projection to queries, keys and values; nn.Linear's (out, in) weights, as in nanoGPT."""
    def shapes(width, bias):
        both = {"c_attn__weight": (3 * width, width), "c_attn__bias": (3 * width,),
                "c_proj__weight": (width, width), "c_proj__bias": (width,)}
        return {key: shape for key, shape in both.items() if bias or "bias" not in key}

    for name, size, heads, bias in [("CausalSelfAttention_batch", (2, 5, 6), 2, True),
                                    ("CausalSelfAttention_no_bias", (1, 7, 9), 3, False),
                                    ("CausalSelfAttention_one_head", (4, 5), 1, True)]:
        def batch(x, *p):
            lengths = [x.size(-2)] * (x.numel() // x.size(-1) // x.size(-2))
            return causal_self_attention(x, heads, lengths, *((p[:2], p[2:]) if bias else (p[:1], p[1:])))

        store.case(name, batch, inputs(name, x=size, **shapes(size[-1], bias)))
    name = "CausalSelfAttention_packed"
    lengths = torch.tensor([3, 1, 5], dtype=torch.float64)
    store.case(name, lambda x, *p: causal_self_attention(x, 2, p[4].long().tolist(), p[:2], p[2:4]),
               {**inputs(name, x=(9, 4), **shapes(4, True)), "lengths": lengths}, constants=["lengths"])


def multi_head_attention(store):
    """PyTorch's own multi_head_attention_forward; its mask for causal is the one that lets the last query see all."""
    for name, query, memory, heads, bias, causal in [
            ("MultiHeadAttention_self", (2, 5, 6), None, 2, True, False),
            ("MultiHeadAttention_self_causal", (2, 5, 6), None, 3, True, True),
            ("MultiHeadAttention_cross", (2, 3, 4), (2, 7, 5), 2, True, False),
            ("MultiHeadAttention_cross_causal", (1, 3, 4), (1, 5, 4), 2, True, True),
            ("MultiHeadAttention_no_bias", (2, 3, 8), None, 4, False, False)]:
        width, kv = query[-1], (memory or query)[-1]
        shapes = {"q_proj": (width, width), "k_proj": (width, kv), "v_proj": (width, kv), "out_proj": (width, width)}
        x = inputs(name, x=query, **({"memory": memory} if memory else {}))
        for key, shape in shapes.items():
            x.update(inputs(name, **{f"{key}__weight": shape}))
            if bias:
                x.update(inputs(name, **{f"{key}__bias": (width,)}))
        keys = list(x)

        def attend(*given):
            p = dict(zip(keys, given))
            q, m = p["x"], p.get("memory", p["x"])
            mask = torch.ones(q.size(1), m.size(1), dtype=torch.bool).triu(1 + m.size(1) - q.size(1))
            in_bias = torch.cat([p[f"{key}_proj.bias"] for key in "qkv"]) if bias else None
            y, _ = F.multi_head_attention_forward(
                q.transpose(0, 1), m.transpose(0, 1), m.transpose(0, 1), width, heads, None, in_bias, None, None,
                False, 0.0, p["out_proj.weight"], p.get("out_proj.bias"), need_weights=False,
                attn_mask=mask if causal else None, use_separate_proj_weight=True, q_proj_weight=p["q_proj.weight"],
                k_proj_weight=p["k_proj.weight"], v_proj_weight=p["v_proj.weight"])
            return y.transpose(0, 1)

        store.case(name, attend, x)


ACTIVATIONS = {"relu": nn.ReLU(), "gelu_erf": nn.GELU(), "gelu_tanh": nn.GELU(approximate="tanh"), "silu": nn.SiLU(),
               "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(),
               "polynomial": lambda x: 0.25 + 0.5 * x + 0.3 * x ** 2 - 0.07 * x ** 3}


def mlp(store):
    for variant, activation in ACTIVATIONS.items():
        bias = variant != "relu"  # microgpt's
        name = f"MLP_{variant}"
        hidden = 7 if variant == "silu" else 20
        shapes = {"c_fc__weight": (hidden, 5), "c_fc__bias": (hidden,), "c_proj__weight": (5, hidden),
                  "c_proj__bias": (5,)}
        shapes = {key: shape for key, shape in shapes.items() if bias or "bias" not in key}

        def forward(x, *p):
            fc, proj = (p[:2], p[2:]) if bias else (p[:1], p[1:])
            return F.linear(activation(F.linear(x, *fc)), *proj)

        store.case(name, forward, inputs(name, x=(3, 5), **shapes))


def simple(store):
    layers = {"ReLU": nn.ReLU(), "GELU_erf": nn.GELU(), "GELU_tanh": nn.GELU(approximate="tanh"), "SiLU": nn.SiLU(),
              "Tanh": nn.Tanh(), "Sigmoid": nn.Sigmoid(), "Softmax_last": nn.Softmax(-1), "Softmax_middle": nn.Softmax(1),
              "Identity": nn.Identity(), "Dropout_eval": nn.Dropout(0.3).eval()}
    for name, layer in layers.items():
        store.case(name, lambda x: layer(x).clone(), inputs(name, x=(2, 3, 7)))
    name = "Sequential_mlp"
    shapes = {"0__weight": (6, 3), "0__bias": (6,), "2__weight": (6,), "2__bias": (6,), "3__weight": (2, 6),
              "3__bias": (2,)}

    def sequential(x, *p):
        y = F.layer_norm(torch.tanh(F.linear(x, p[0], p[1])), (6,), p[2], p[3])
        return F.linear(y, p[4], p[5])

    store.case(name, sequential, inputs(name, x=(5, 3), **shapes))


def losses(store):
    """As a training loop calls them: logits of three dimensions, -1 for what does not count, no target at all."""
    targets = torch.tensor([3, -1, 0, 10, -1, 7], dtype=torch.float64)

    def cross_entropy(logits, targets):
        return F.cross_entropy(logits.reshape(-1, logits.size(-1)), targets.long(), ignore_index=-1)

    name = "cross_entropy_some_ignored"
    store.case(name, cross_entropy, {**inputs(name, x=(2, 3, 11)), "targets": targets}, constants=["targets"])
    name = "mse_loss_column"
    store.case(name, F.mse_loss, inputs(name, x=(7, 1), y=(7, 1)))


def convolutions(store):
    for name, f, x, weight in [
            ("Conv1d_bias", lambda *in_: F.conv1d(*in_, stride=2, padding=3, dilation=2), (2, 3, 17), (4, 3, 5)),
            ("Conv1d_no_bias", F.conv1d, (2, 3, 9), (2, 3, 3)),
            ("Conv2d_bias", lambda *in_: F.conv2d(*in_, stride=(2, 1), padding=1), (2, 3, 6, 7), (4, 3, 3, 2)),
            ("Conv2d_no_bias", F.conv2d, (2, 3, 5, 5), (2, 3, 3, 3))]:
        shapes = {"x": x, "weight": weight, **({} if "no" in name else {"bias": weight[:1]})}
        store.case(name, f, inputs(name, **shapes))
    for name, layer in {"MaxPool2d_padding": nn.MaxPool2d(3, 2, 1), "AvgPool2d_padding": nn.AvgPool2d(3, 2, 1),
                        "Flatten_image": nn.Flatten()}.items():
        store.case(name, lambda x: layer(x).clone(), {"x": values(name, (2, 3, 6, 7), "distinct")})


def batch_norm(store):
    """The result, or (`running`) what the running mean and variance become after two batches."""
    for name, size, training, affine in [
            ("BatchNorm1d_training", (5, 3), True, True), ("BatchNorm1d_series", (2, 3, 7), True, True),
            ("BatchNorm1d_eval", (5, 3), False, True), ("BatchNorm1d_plain", (6, 4), True, False),
            ("BatchNorm1d_running", (5, 3), True, False), ("BatchNorm2d_training", (2, 3, 4, 5), True, True),
            ("BatchNorm2d_eval", (2, 3, 4, 5), False, True), ("BatchNorm2d_running", (2, 3, 4, 5), True, False)]:
        C = size[1]
        given = inputs(name, x=size, **({"weight": (C,), "bias": (C,)} if affine else {}))
        given["running_mean"] = values(f"{name}/running_mean", (C,))
        given["running_var"] = values(f"{name}/running_var", (C,), "positive")

        def layer(x, *rest):
            weight, bias = rest[:2] if affine else (None, None)
            mean, var = (buffer.clone() for buffer in rest[-2:])
            y = F.batch_norm(x, mean, var, weight, bias, training, 0.1, 1e-5)
            if "running" not in name:
                return y
            F.batch_norm(2 * x + 1, mean, var, weight, bias, True, 0.1, 1e-5)
            return torch.cat([mean, var])

        store.case(name, layer, given,
                   constants=["running_mean", "running_var"] + (["x"] if "running" in name else []))


def recurrent(store):
    """PyTorch's own cells and layers, given these parameters; result, last h and (LSTM) last c one after another."""
    def module_with(module, keys, given):
        for key, value in zip(keys, given):
            del module._parameters[key]
            setattr(module, key, value)
        return module

    I, H, B, T = 3, 4, 2, 5
    for kind in ("RNN", "GRU", "LSTM"):
        for variant, options in {"bias": {}, "no_bias": {"bias": False}}.items():
            name = f"{kind}Cell_{variant}"
            keys = [key for key, _ in getattr(nn, f"{kind}Cell")(I, H, **options).named_parameters()]
            shapes = {key: tuple(p.shape) for key, p in getattr(nn, f"{kind}Cell")(I, H, **options).named_parameters()}
            state = {"h": (B, H), **({"c": (B, H)} if kind == "LSTM" else {})}

            def cell(x, *rest):
                states, given = rest[:len(state)], rest[len(state):]
                module = module_with(getattr(nn, f"{kind}Cell")(I, H, **options), keys, given)
                y = module(x, tuple(states) if kind == "LSTM" else states[0])
                return torch.cat(y) if kind == "LSTM" else y

            store.case(name, cell, inputs(name, x=(B, I), **state, **shapes))
    for name, options, with_state in [
            ("RNN_tanh", {}, True), ("RNN_relu", {"nonlinearity": "relu"}, False), ("RNN_no_bias", {"bias": False}, False),
            ("GRU_one", {}, True), ("GRU_two_bidirectional", {"num_layers": 2, "bidirectional": True}, True),
            ("LSTM_one", {}, False), ("LSTM_state", {}, True), ("LSTM_three", {"num_layers": 3}, False),
            ("LSTM_two_bidirectional", {"num_layers": 2, "bidirectional": True}, True)]:
        kind = name.split("_")[0]

        def make():
            return getattr(nn, kind)(I, H, batch_first=True, **options)

        shapes = {key: tuple(p.shape) for key, p in make().named_parameters()}
        states = {}
        if with_state:
            rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
            states = {key: (rows, B, H) for key in (("h", "c") if kind == "LSTM" else ("h",))}

        def run(x, *rest):
            before, given = rest[:len(states)], rest[len(states):]
            module = make()
            module._flat_weights = list(given)
            y, last = module(x, *([tuple(before) if kind == "LSTM" else before[0]] if with_state else []))
            last = last if kind == "LSTM" else (last,)
            return torch.cat([y.flatten(), *(state.flatten() for state in last)])

        store.case(name, run, inputs(name, x=(B, T, I), **states, **shapes))


def positions(store):
    """The papers' formulas; for the rotation both halves are one complex number, turned by e^(i t theta)."""
    name = "LearnedPositions_shorter"
    store.case(name, lambda x, weight: x + weight[:x.size(1)], inputs(name, x=(2, 3, 4), weight=(5, 4)))

    def angles(rows, frequencies, base, start=0):
        theta = base ** (-torch.arange(frequencies, dtype=torch.float64) / frequencies)
        return (start + torch.arange(rows, dtype=torch.float64))[:, None] * theta

    name = "SinusoidalPositions_batch"
    table = torch.stack([angles(5, 3, 10000.0).sin(), angles(5, 3, 10000.0).cos()], -1).flatten(1)
    store.case(name, lambda x: x + table.to(x.dtype), inputs(name, x=(2, 5, 6)))
    for name, start in [("RotaryPositions_heads", 0), ("RotaryPositions_continued", 7)]:
        def rotate(x):
            turn = torch.polar(torch.ones(5, 3, dtype=torch.float64), angles(5, 3, 10000.0, start))
            turn = torch.complex(turn.real.to(x.dtype), turn.imag.to(x.dtype))
            y = torch.complex(x[..., :3], x[..., 3:]) * turn
            return torch.cat([y.real, y.imag], -1)

        store.case(name, rotate, inputs(name, x=(2, 2, 5, 6)))


def record(store):
    for part in (linear, norms, embedding, self_attention, multi_head_attention, mlp, simple, losses, convolutions,
                 batch_norm, recurrent, positions):
        part(store)
