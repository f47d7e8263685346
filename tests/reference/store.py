"""What all cases share: input values that follow from names, gradients by torch, and safetensors files.

A case NAME holds in/KEY for every input (F32: exact in both types) and, for each type it was computed in (f64, f32),
out and grad/KEY for every input that has a gradient: that of sum(out * weight), with a random weight stored beside it.
In f64 there is also second/KEY, for inputs and for output_weight: the gradient of sum over KEY of sum(grad/KEY * u), with
directions u that follow from the shapes. Cases of further sizes and of edges, NAME@.., have none.
"""
import json
import random
import struct

import torch

TYPES = {"f64": torch.float64, "f32": torch.float32}

# Multiples of 2^-16 below 2^8, so that f32 holds them exactly. `distinct` has no two closer than 1/16.
RANGES = {"any": (-2, 2), "wide": (-20, 20), "low": (-20, 2), "positive": (0.5, 2), "nonzero": (0.25, 2),
          "part": (-0.95, 0.95)}


def values(name, shape, domain="any"):
    """Numbers that depend on nothing but the arguments; random() of a text seed is the same in every Python 3."""
    generator = random.Random(name)
    count = int(torch.Size(shape).numel())
    if domain == "distinct":
        order = sorted(range(count), key=lambda _: generator.random())
        numbers = [(place - 5) / 16 for place in order]
    elif domain == "whole":  # multiples of 2^-10
        numbers = [int(generator.random() * 1000) / 1024 for _ in range(count)]
    elif domain == "flags":
        numbers = [float(generator.random() < 0.5) for _ in range(count)]
    else:
        low, high = RANGES[domain]
        numbers = [int((low + (high - low) * generator.random()) * 65536) / 65536 for _ in range(count)]
        if domain == "nonzero":
            numbers = [x if generator.random() < 0.5 else -x for x in numbers]
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def direction(shape):
    """tests/reference/measure.cpp has the same."""
    return torch.tensor([(i * 7 + 3) % 11 / 8 - 0.625 for i in range(torch.Size(shape).numel())],
                        dtype=torch.float64).reshape(shape)


def second_gradients(f, x, weight):
    """Second derivatives along a direction; nothing where PyTorch has none."""
    x = {key: value.detach().requires_grad_(value.requires_grad) for key, value in x.items()}
    weight = weight.double().requires_grad_()
    wanted = {key: value for key, value in x.items() if value.requires_grad}
    try:
        first = torch.autograd.grad(f(*x.values()), list(wanted.values()), weight, create_graph=True, allow_unused=True)
        along = sum((grad * direction(grad.shape)).sum() for grad in first if grad is not None)
        wanted["output_weight"] = weight
        second = torch.autograd.grad(along, list(wanted.values()), allow_unused=True)
    except RuntimeError as error:
        known = ("not implemented", "does not require grad", "undefined Tensor in C++")  # the last is a fault of PyTorch's
        assert any(text in str(error) for text in known), error
        return {}
    # Adding to zeros also gives memory to a gradient that PyTorch only marks as zero.
    return {key: torch.zeros_like(value) + (0 if grad is None else grad)
            for (key, value), grad in zip(wanted.items(), second)}


class Store:
    def __init__(self):
        self.tensors = {}

    def put(self, key, tensor):
        assert key not in self.tensors, key
        assert tensor.dtype in TYPES.values(), key
        self.tensors[key] = tensor.detach().contiguous()

    def case(self, name, f, inputs, constants=(), types=("f64", "f32")):
        """Records out = f(*inputs) and its gradients. `inputs` maps keys to f64 tensors, or lists them under 0, 1, ..;
        f gets those called in `constants` without asking for a gradient, and so for all when out has no history."""
        if not isinstance(inputs, dict):
            inputs = {str(i): x for i, x in enumerate(inputs)}
        for key, x in inputs.items():
            assert torch.equal(x.float().double(), x) or x.isnan().any(), f"{name}: {key} is not exact in f32"
            self.put(f"{name}/in/{key}", x.float())
        for number in types:
            x = {key: value.to(TYPES[number], copy=True).requires_grad_(key not in constants)
                 for key, value in inputs.items()}
            out = f(*x.values())
            assert out.dtype == TYPES[number], name
            self.put(f"{name}/{number}/out", out)
            if not out.requires_grad:
                continue
            if f"{name}/weight" not in self.tensors:
                self.put(f"{name}/weight", values(f"{name}/weight", out.shape).float())
            out.backward(self.tensors[f"{name}/weight"].to(out.dtype))
            for key, value in x.items():
                if key not in constants:
                    self.put(f"{name}/{number}/grad/{key}", torch.zeros_like(value) if value.grad is None else value.grad)
            if number == "f64" and "@" not in name:
                for key, value in second_gradients(f, x, self.tensors[f"{name}/weight"]).items():
                    self.put(f"{name}/f64/second/{key}", value)

    def write(self, path):
        """safetensors: eight bytes of header length, the header, the numbers; everything in the order of the keys."""
        header, blocks, position = {"__metadata__": {"torch": torch.__version__}}, [], 0
        for key in sorted(self.tensors):
            tensor = self.tensors[key]
            block = tensor.numpy().astype("<f8" if tensor.dtype == torch.float64 else "<f4").tobytes()
            header[key] = {"dtype": "F64" if tensor.dtype == torch.float64 else "F32", "shape": list(tensor.shape),
                           "data_offsets": [position, position + len(block)]}
            blocks.append(block)
            position += len(block)
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + b"".join(blocks))
        return len(text) + 8 + position, len({key.split("/")[0] for key in self.tensors})


def version_of(path):
    """Which PyTorch wrote this file."""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size))["__metadata__"]["torch"]
