"""A GPT-2-shaped and a microgpt-shaped model, written as in nanoGPT and microgpt.py, with GPT-2's parameter names: logits,
loss, the gradient of each in every parameter, and the losses and gradient norms of ten training steps."""
import torch
from torch.nn import functional as F

from ops import packed_attention, rms_norm
from store import values

CONFIGS = {
    "gpt2": {"V": 13, "T": 8, "layers": 2, "heads": 2, "C": 16, "gpt2": True},
    "microgpt": {"V": 11, "T": 8, "layers": 1, "heads": 4, "C": 16, "gpt2": False},
}
BATCH = 3
STEPS = 10


def parameters(name, config):
    """gradus's order. Larger than usual, gains and biases away from 1 and 0, so that everything shows in the result."""
    C, gpt2 = config["C"], config["gpt2"]
    shapes = {"wte.weight": (config["V"], C), "wpe.weight": (config["T"], C)}
    for i in range(config["layers"]):
        for key, shape in [("ln_1", (C,)), ("attn.c_attn", (3 * C, C)), ("attn.c_proj", (C, C)), ("ln_2", (C,)),
                           ("mlp.c_fc", (4 * C, C)), ("mlp.c_proj", (C, 4 * C))]:
            if gpt2 or len(shape) == 2:
                shapes[f"h.{i}.{key}.weight"] = shape
            if gpt2:
                shapes[f"h.{i}.{key}.bias"] = shape[:1]
    if gpt2:
        shapes.update({"ln_f.weight": (C,), "ln_f.bias": (C,)})
    else:
        shapes["lm_head.weight"] = (config["V"], C)
    return {key: values(f"{name}/{key}", shape) / 8 + (1 if "ln_" in key and "weight" in key else 0)
            for key, shape in shapes.items()}


def logits(p, config, tokens, lengths):
    """(N) tokens of documents one after another -> (N, V)."""
    gpt2 = config["gpt2"]

    def norm(x, key):
        return F.layer_norm(x, x.shape[-1:], p[f"{key}.weight"], p[f"{key}.bias"]) if gpt2 else rms_norm(x)

    def linear(x, key):
        return F.linear(x, p[f"{key}.weight"], p.get(f"{key}.bias"))

    positions = torch.cat([torch.arange(length) for length in lengths])
    x = F.embedding(tokens, p["wte.weight"]) + F.embedding(positions, p["wpe.weight"])
    if not gpt2:
        x = norm(x, "ln_emb")
    for i in range(config["layers"]):
        h = f"h.{i}"
        y = packed_attention(linear(norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn"), config["heads"], lengths, causal=True)
        x = x + linear(y, f"{h}.attn.c_proj")
        y = linear(norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc")
        x = x + linear(F.gelu(y, approximate="tanh") if gpt2 else F.relu(y), f"{h}.mlp.c_proj")
    if gpt2:
        return F.linear(norm(x, "ln_f"), p["wte.weight"])
    return F.linear(x, p["lm_head.weight"])


def ids(count, below, start):
    return torch.tensor([(start + 5 * i + i * i) % below for i in range(count)])


def record(store, name):
    config = CONFIGS[name]
    p = parameters(name, config)
    keys = list(p)
    V, T = config["V"], config["T"]
    packed = [3, 1, 8, 5]
    batch = [T] * BATCH
    tokens, targets = ids(BATCH * T, V, 1), ids(BATCH * T, V, 4)
    targets[5] = -1

    def given(lengths, with_targets):
        count = sum(lengths)
        rest = {"tokens": tokens[:count].double(), "lengths": torch.tensor(lengths, dtype=torch.float64)}
        if with_targets:
            rest["targets"] = targets[:count].double()
        return {**p, **rest}

    constants = ["tokens", "lengths", "targets"]

    def forward(*x):
        x = dict(zip([*keys, *constants], x))
        y = logits(x, config, x["tokens"].long(), x["lengths"].long().tolist())
        return F.cross_entropy(y, x["targets"].long(), ignore_index=-1) if "targets" in x else y

    def training(*x):
        x = dict(zip([*keys, *constants], x))
        weights = {key: torch.nn.Parameter(x[key].clone()) for key in keys}
        optimizer = torch.optim.AdamW(
            [{"params": [w for w in weights.values() if w.dim() >= 2], "weight_decay": 0.1},
             {"params": [w for w in weights.values() if w.dim() < 2], "weight_decay": 0}], lr=0.01, betas=(0.9, 0.95))
        path = []
        for step in range(STEPS):
            optimizer.zero_grad()
            # Every step sees other tokens: those of the step before, one further.
            loss = forward(*weights.values(), (x["tokens"] + step) % V, x["lengths"], x["targets"])
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(weights.values(), 0.5)
            optimizer.step()
            path.append(torch.stack([loss.detach(), norm]))
        return torch.stack(path)

    store.case("logits", forward, given(packed, False), constants)
    store.case("loss", forward, given(batch, True), constants)
    store.case("training", training, given(batch, True), keys + constants)
