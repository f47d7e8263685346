"""A GPT-2 in PyTorch, by the formulas of Hugging Face's transformers, and its files by the format's description.

gpt2.py make FOLDER [NAME=VALUE ...]  a model with random weights: config.json, model.safetensors, logits.json
gpt2.py logits FOLDER IDS             the logits after each of the ids, a line a token
gpt2.py hashes FILE                   name, type, shape and SHA-256 of every tensor

Further commands may follow, each behind a "--", which is also printed between what they print: Python needs two seconds
to find PyTorch.

NAME=VALUE changes config.json; prefix=0 leaves "transformer." out, dtype=F16 changes the file's numbers, shards=2 cuts
it, masks=1 adds the masks of older files. The package safetensors reads and writes where it is installed, else a few
lines here do. Exit status 77: there is no PyTorch.
"""
import hashlib
import json
import os
import struct
import sys

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    sys.exit(77)
try:
    import safetensors.torch
except ImportError:
    safetensors = None

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
         "U8": torch.uint8, "BOOL": torch.bool}
ACTIVATIONS = {"gelu_new": lambda x: F.gelu(x, approximate="tanh"), "gelu": F.gelu, "relu": F.relu, "silu": F.silu,
               "tanh": torch.tanh}
CONFIG = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 29, "n_positions": 12, "n_embd": 16,
          "n_layer": 2, "n_head": 2, "n_inner": None, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
          "tie_word_embeddings": True, "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1}


def raw(tensor):
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def as_bytes(tensor):
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return raw(tensor.view(torch.int16))
    return raw(tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor)


def save(path, tensors):
    if safetensors:
        safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, path, {"format": "pt"})
        return
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        part = as_bytes(tensor)
        kind = next(key for key, value in TYPES.items() if value == tensor.dtype)
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read_raw(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items()}


def load(path):
    if safetensors:
        return safetensors.torch.load_file(path)
    return {name: torch.frombuffer(bytearray(data), dtype=TYPES[kind]).reshape(shape)
            for name, (kind, shape, data) in read_raw(path).items()}


def parameters(config):
    C, V = config["n_embd"], config["vocab_size"]
    inner = config["n_inner"] or 4 * C
    shapes = {"wte.weight": (V, C), "wpe.weight": (config["n_positions"], C)}
    for i in range(config["n_layer"]):
        for name, shape in [("ln_1", (C,)), ("attn.c_attn", (C, 3 * C)), ("attn.c_proj", (C, C)), ("ln_2", (C,)),
                            ("mlp.c_fc", (C, inner)), ("mlp.c_proj", (inner, C))]:
            shapes[f"h.{i}.{name}.weight"] = shape
            shapes[f"h.{i}.{name}.bias"] = shape[-1:]
    shapes.update({"ln_f.weight": (C,), "ln_f.bias": (C,)})
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (V, C)
    torch.manual_seed(1)
    return {name: torch.randn(shape) / 4 + (1 if "ln_" in name and name.endswith("weight") else 0)
            for name, shape in shapes.items()}


def logits(config, p, ids):
    C, H, eps = config["n_embd"], config["n_head"], config["layer_norm_epsilon"]
    activate = ACTIVATIONS[config["activation_function"]]

    def norm(x, name):
        return F.layer_norm(x, (C,), p[name + ".weight"], p[name + ".bias"], eps)

    def conv(x, name):  # transformers' Conv1D
        return x @ p[name + ".weight"] + p[name + ".bias"]

    ids = torch.tensor(ids)
    T = len(ids)
    x = p["wte.weight"][ids] + p["wpe.weight"][:T]
    for i in range(config["n_layer"]):
        q, k, v = conv(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").reshape(T, 3, H, C // H).permute(1, 2, 0, 3)
        scores = q @ k.transpose(1, 2) / (C // H) ** 0.5
        scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
        x = x + conv((scores.softmax(-1) @ v).transpose(0, 1).reshape(T, C), f"h.{i}.attn.c_proj")
        x = x + conv(activate(conv(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")), f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ p["wte.weight" if config["tie_word_embeddings"] else "lm_head.weight"].T


def in_f64(tensors):
    return {name.replace("transformer.", "", 1): tensor.double() for name, tensor in tensors.items()}


def make(folder, options):
    config, how = dict(CONFIG), {"prefix": 1, "dtype": "F32", "shards": 1, "masks": 0}
    for option in options:
        name, value = option.split("=")
        where = how if name in how else config
        try:
            where[name] = json.loads(value)
        except ValueError:
            where[name] = value
    os.makedirs(folder, exist_ok=True)
    tensors = {name: tensor.to(TYPES[how["dtype"]]) for name, tensor in parameters(config).items()}
    ids = [(3 + 5 * i + i * i) % config["vocab_size"] for i in range(config["n_positions"])]
    expected = logits(config, in_f64(tensors), ids)
    named = {("transformer." if how["prefix"] and name != "lm_head.weight" else "") + name: tensor
             for name, tensor in tensors.items()}
    if how["masks"]:
        T = config["n_positions"]
        for i in range(config["n_layer"]):
            name = ("transformer." if how["prefix"] else "") + f"h.{i}.attn."
            named[name + "bias"] = torch.ones(1, 1, T, T).tril().to(torch.bool if i else torch.float32)
            named[name + "masked_bias"] = torch.tensor(-1e4)
    if how["shards"] == 1:
        save(os.path.join(folder, "model.safetensors"), named)
    else:
        index = {}
        for s in range(how["shards"]):
            file = f"model-{s + 1:05}-of-{how['shards']:05}.safetensors"
            part = {name: tensor for i, (name, tensor) in enumerate(named.items()) if i % how["shards"] == s}
            save(os.path.join(folder, file), part)
            index.update({name: file for name in part})
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
            json.dump({"metadata": {"total_size": 1}, "weight_map": index}, file, indent=2)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=2)
    with open(os.path.join(folder, "logits.json"), "w") as file:
        json.dump({"ids": ids, "logits": expected.tolist()}, file)


def run(command, place, *rest):
    if command == "make":
        make(place, rest)
    elif command == "logits":
        with open(os.path.join(place, "config.json")) as file:
            config = {**CONFIG, **json.load(file)}
        tensors = in_f64(load(os.path.join(place, "model.safetensors")))
        for row in logits(config, tensors, [int(word) for word in rest[0].split(",")]).tolist():
            print(*(repr(value) for value in row))
    else:
        for name, (kind, shape, data) in sorted(read_raw(place).items()):
            print(name, kind, *shape, hashlib.sha256(data).hexdigest())


words = sys.argv[1:]
while words:
    end = words.index("--") if "--" in words else len(words)
    run(*words[:end])
    words = words[end + 1:]
    if words:
        print("--")
