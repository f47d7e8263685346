#!/usr/bin/env python3
"""microgpt.py's algorithm in plain Python, one object a number: what build/bin/microgpt_replay is timed against.

Prints each step's loss, the milliseconds of processor time a step, and samples; the losses are those of the replay.
Usage: microgpt_scalar.py FILE [--seed 42 --layers 1 --width 16 --heads 4 --context 16 --steps 1000] [--stop-after N]
"""
import argparse
import math
import random
import time


class Value:
    """A number, what it was computed from, and its slope in each of those."""

    __slots__ = ("x", "grad", "inputs", "slopes")

    def __init__(self, x, inputs=(), slopes=()):
        self.x, self.grad, self.inputs, self.slopes = x, 0.0, inputs, slopes

    def __add__(self, other):
        if isinstance(other, Value):
            return Value(self.x + other.x, (self, other), (1.0, 1.0))
        return Value(self.x + other, (self,), (1.0,))

    def __mul__(self, other):
        if isinstance(other, Value):
            return Value(self.x * other.x, (self, other), (other.x, self.x))
        return Value(self.x * other, (self,), (other,))

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, n):
        return Value(self.x**n, (self,), (n * self.x ** (n - 1),))

    def __truediv__(self, other):
        return self * other**-1

    def __neg__(self):
        return self * -1

    def exp(self):
        y = math.exp(self.x)
        return Value(y, (self,), (y,))

    def log(self):
        return Value(math.log(self.x), (self,), (1 / self.x,))

    def relu(self):
        return Value(max(0.0, self.x), (self,), (1.0 if self.x > 0 else 0.0,))

    def backward(self):
        order, seen, stack = [], {self}, [(self, 0)]
        while stack:
            value, i = stack.pop()
            if i == len(value.inputs):
                order.append(value)
                continue
            stack.append((value, i + 1))
            if value.inputs[i] not in seen:
                seen.add(value.inputs[i])
                stack.append((value.inputs[i], 0))
        self.grad = 1.0
        for value in reversed(order):
            for source, slope in zip(value.inputs, value.slopes):
                source.grad += slope * value.grad


def linear(x, weight):
    return [sum(w * v for w, v in zip(row, x)) for row in weight]


def softmax(z):
    top = max(v.x for v in z)
    powers = [(v + -top).exp() for v in z]
    total = sum(powers)
    return [p / total for p in powers]


def rms_norm(x):
    scale = (sum(v * v for v in x) * (1 / len(x)) + 1e-5) ** -0.5
    return [v * scale for v in x]


class GPT:
    def __init__(self, vocabulary, layers, width, heads, context):
        def matrix(rows, cols):
            return [[Value(random.gauss(0, 0.08)) for _ in range(cols)] for _ in range(rows)]

        self.heads, self.size = heads, width // heads
        self.wte, self.wpe, self.head = (matrix(rows, width) for rows in (vocabulary, context, vocabulary))
        shapes = {name: (width, width) for name in ("q", "k", "v", "o")}
        shapes |= {"fc1": (4 * width, width), "fc2": (width, 4 * width)}
        self.layers = [{name: matrix(*shape) for name, shape in shapes.items()} for _ in range(layers)]
        matrices = [self.wte, self.wpe, self.head, *(m for layer in self.layers for m in layer.values())]
        self.parameters = [p for m in matrices for row in m for p in row]

    def __call__(self, token, position, keys, values):
        x = rms_norm([a + b for a, b in zip(self.wte[token], self.wpe[position])])
        for layer, layer_keys, layer_values in zip(self.layers, keys, values):
            residual, x = x, rms_norm(x)
            q = linear(x, layer["q"])
            layer_keys.append(linear(x, layer["k"]))
            layer_values.append(linear(x, layer["v"]))
            out = []
            for h in range(self.heads):
                part = slice(h * self.size, (h + 1) * self.size)
                scores = [sum(a * b for a, b in zip(q[part], k[part])) * self.size**-0.5 for k in layer_keys]
                weights = softmax(scores)
                out += [sum(w * v[j] for w, v in zip(weights, layer_values)) for j in range(part.start, part.stop)]
            x = [a + b for a, b in zip(linear(out, layer["o"]), residual)]
            residual, x = x, rms_norm(x)
            x = linear([v.relu() for v in linear(x, layer["fc1"])], layer["fc2"])
            x = [a + b for a, b in zip(x, residual)]
        return linear(x, self.head)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    for name, default in dict(seed=42, layers=1, width=16, heads=4, context=16, steps=1000).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--stop-after", type=int, default=None, help="steps, of the --steps planned")
    a = parser.parse_args()
    random.seed(a.seed)
    with open(a.file, encoding="utf-8") as file:
        documents = [line.strip() for line in file if line.strip()]
    random.shuffle(documents)
    characters = sorted(set("".join(documents)))
    boundary = len(characters)
    model = GPT(boundary + 1, a.layers, a.width, a.heads, a.context)

    def no_memory():
        return [[] for _ in range(a.layers)], [[] for _ in range(a.layers)]

    m, v = [0.0] * len(model.parameters), [0.0] * len(model.parameters)
    steps = a.stop_after or a.steps
    start = time.process_time()
    for step in range(steps):
        document = documents[step % len(documents)]
        tokens = [boundary, *(characters.index(c) for c in document), boundary]
        count, memory = min(a.context, len(tokens) - 1), no_memory()
        losses = [-softmax(model(tokens[i], i, *memory))[tokens[i + 1]].log() for i in range(count)]
        loss = sum(losses) * (1 / count)
        loss.backward()
        rate = 0.01 * (1 - step / a.steps)
        for i, p in enumerate(model.parameters):
            m[i] = 0.85 * m[i] + 0.15 * p.grad
            v[i] = 0.99 * v[i] + 0.01 * p.grad**2
            p.x -= rate * (m[i] / (1 - 0.85 ** (step + 1))) / ((v[i] / (1 - 0.99 ** (step + 1))) ** 0.5 + 1e-8)
            p.grad = 0.0
        print(step + 1, loss.x, flush=True)
    print(f"{(time.process_time() - start) / steps * 1e3:.1f} ms a step")
    for i in range(20):
        token, text, memory = boundary, "", no_memory()
        for position in range(a.context):
            weights = softmax([z * 2 for z in model(token, position, *memory)])
            token = random.choices(range(boundary + 1), weights=[w.x for w in weights])[0]
            if token == boundary:
                break
            text += characters[token]
        print(f"sample {i + 1:2}: {text}")


if __name__ == "__main__":
    main()
