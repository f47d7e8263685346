"""Draws a random graph from a seed: leaves, ops on them, and the backward passes to run.

A graph is a list of items; an item is a leaf {"shape", "grad", "values"} or a node {"op", "in": places of items, and
the op's options}. `coarse`: the values are few and round, so that equal ones stay equal through products. Registries
(graph_ops.py, graph_modules.py) say how to draw an op's inputs and options and what it is in PyTorch.
"""
import math

import torch

SIZES = [1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 18, 31, 32, 33, 34, 35, 40]
APART = 1e-3  # how far from a kink numbers with roundings must stay


class Rejected(ValueError):
    """The draw does not fit: draw again."""


class Op:
    """draw(g) -> (items, options); torch(inputs, options) -> tensor. `moves`: the result holds values of the inputs, so
    that what was exact in f32 stays so. `kinks(inputs, options)`: distances from the places where the gradient jumps.
    `hides`: inside are products of gradients and values that may cancel, larger than all that shows."""

    def __init__(self, draw, torch, moves=False, kinks=None, hides=False):
        self.draw, self.torch, self.moves, self.kinks, self.hides = draw, torch, moves, kinks, hides


SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, 2.0, -3.0, 2.0**-140, -(2.0**-140), 88.0, -200.0]


def largest(x):
    """Of those that are finite."""
    x = x.detach().abs()
    return float(torch.where(torch.isfinite(x), x, torch.zeros_like(x)).max()) if x.numel() else 0.0


# What an op asks of an input's values: how new ones are drawn (low, high), and which existing ones will do.
DOMAINS = {
    "any": ((-2, 2), lambda v: largest(v) <= 64),
    "small": ((-2, 2), lambda v: largest(v) <= 4),
    "positive": ((0.5, 2), lambda v: bool((v >= 0.25).all()) and largest(v) <= 64),
    "nonzero": ((0.25, 2), lambda v: bool((v.abs() >= 0.25).all()) and largest(v) <= 64),
    "part": ((-0.9375, 0.9375), lambda v: largest(v) <= 0.9375),
    "flags": ((0, 1), lambda v: bool(((v == 0) | (v == 1)).all())),
    "probability": ((0, 1), lambda v: bool(((v >= 0) & (v <= 1)).all())),
}


class Graph:
    def __init__(self, rng, registry, cap=400):
        self.rng, self.registry, self.cap = rng, registry, cap
        self.items, self.values, self.exact = [], [], []
        self.chosen = []  # by the op that is being drawn
        self.sizes = [rng.choice(SIZES) for _ in range(rng.choice([2, 3, 4]))]
        if rng.random() < 0.12:
            self.sizes.append(0)
        self.style = rng.choice(["fine"] * 5 + ["ties"] * 2 + ["wide", "large"])

    # ---- shapes and options

    def size(self):
        return self.rng.choice(self.sizes) if self.rng.random() < 0.8 else self.rng.choice([1, 2, 3])

    def fitted(self, shape):
        """The shape with dimensions shortened until it is no larger than the cap."""
        shape = list(shape)
        while math.prod(shape) > self.cap:
            longest = shape.index(max(shape))
            shape[longest] = self.rng.choice([1, 2, 3, shape[longest] // 2])
        return shape

    def shape(self, low=0, high=4):
        rank = min(max(self.rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4]), low), high)
        return self.fitted([self.size() for _ in range(rank)])

    def some(self, count, least=1):
        """Some of the dimensions, in any order, some counted from the end."""
        dims = self.rng.sample(range(count), self.rng.randint(min(least, count), count))
        return [d - count if self.rng.random() < 0.3 else d for d in dims]

    def dim(self, rank):
        return self.rng.randrange(-rank, rank) if rank else -1

    def coin(self, p=0.5):
        return self.rng.random() < p

    # ---- inputs

    def numbers(self, shape, domain):
        """Multiples of 2^-14 or coarser, which f32 holds exactly and whose differences it does too."""
        count, rng = math.prod(shape), self.rng
        low, high = DOMAINS[domain][0]
        if domain == "flags":
            numbers = [float(rng.random() < 0.5) for _ in range(count)]
        elif self.style == "special" and domain != "probability":
            numbers = [rng.choice(SPECIAL) for _ in range(count)]
        elif self.style == "ties":
            numbers = [low + (high - low) * rng.randrange(5) / 4 for _ in range(count)]
        elif self.style == "large" and domain == "any":
            power = 2.0 ** rng.randrange(3, 13)
            numbers = [rng.choice([-1, 0, 1, 1]) * power for _ in range(count)]
        else:
            if self.style == "wide" and domain == "any":
                low, high = -20, 20
            numbers = [int((low + (high - low) * rng.random()) * 16384) / 16384 for _ in range(count)]
        if domain == "nonzero":
            numbers = [x if rng.random() < 0.5 else -x for x in numbers]
        return torch.tensor(numbers, dtype=torch.float64).reshape(shape)

    def leaf(self, shape, domain="any", grad=None, values=None):
        values = self.numbers(shape, domain) if values is None else values
        grad = self.rng.random() < 0.85 if grad is None else grad
        self.items.append({"shape": list(shape), "grad": grad, "values": values})
        self.values.append(values)
        self.exact.append(True)
        return len(self.items) - 1

    def tensor(self, shape=None, domain="any", low=0, high=4, grad=None):
        """An input for an op: one that this op has already, one that is there, or a new leaf."""
        def fits(i):
            size = list(self.values[i].shape)
            return (size == list(shape) if shape is not None else low <= len(size) <= high) and \
                DOMAINS[domain][1](self.values[i])

        place = None
        twice = [i for i in self.chosen if fits(i)] if self.coin(0.4) else []
        if twice:
            place = self.rng.choice(twice)
        elif self.coin(0.7):
            there = [i for i in range(len(self.items)) if fits(i)]
            place = self.rng.choice(there) if there else None
        if place is None:
            place = self.leaf(self.shape(low, high) if shape is None else shape, domain, grad)
        self.chosen.append(place)
        return place

    def shape_of(self, i):
        return list(self.values[i].shape)

    # ---- nodes

    def add(self, op, inputs, options=None):
        options = options or {}
        given = [self.values[i] for i in inputs]
        exact = all(self.exact[i] for i in inputs)
        known = self.registry[op]
        try:
            value = known.torch(given, options)
        except (RuntimeError, IndexError, ValueError, ZeroDivisionError) as error:  # PyTorch refuses
            raise Rejected(str(error)) from error
        finite = self.style == "special" or bool(torch.isfinite(value).all())
        if not finite or largest(value) > 1e9 or value.numel() > 4 * self.cap:
            raise Rejected("too large")
        if known.kinks and not exact:
            distances = known.kinks(given, options)
            if distances.numel() and float(distances.min()) < APART:
                raise Rejected("near a kink")
        self.items.append({"op": op, "in": list(inputs), **options})
        self.values.append(value)
        self.exact.append(exact and known.moves)
        return len(self.items) - 1

    def draw(self, op):
        """Adds a node of this op; whatever was added for a draw that did not fit is taken away again."""
        for _ in range(20):
            before = len(self.items)
            self.chosen = []
            try:
                return self.add(op, *self.registry[op].draw(self))
            except Rejected:
                del self.items[before:], self.values[before:], self.exact[before:]
        return None


def joined(g, ends):
    """sum(end * weight) of all of them in one number, as a loss of several terms is."""
    total = None
    for end in ends:
        if g.coin(0.8):
            end = g.add("mul", [end, g.leaf(g.shape_of(end), grad=g.coin(0.2))])
        end = g.add("sum", [end])
        total = end if total is None else g.add("add", [total, end])
    return total


def backward_passes(g, ends):
    """Which items to run backward from, with what weights. Some twice, some weighted with an input's gradient."""
    steps = []
    leaves = [i for i, item in enumerate(g.items) if "op" not in item and item["grad"]]
    if leaves and g.coin(0.15):
        steps.append({"root": g.add("sum", [g.rng.choice(leaves)])})  # a gradient is there before
    for end in ends:
        step = {"root": end}
        if g.values[end].numel() != 1 or g.coin():
            step["weight"] = g.leaf(g.shape_of(end), grad=False)
        steps.append(step)
    if g.coin(0.2):
        steps.append(dict(g.rng.choice(steps)))
    wanted = [(end, i) for end in ends for i in leaves if g.shape_of(i) == g.shape_of(end)]
    if wanted and g.coin(0.2):
        end, leaf = g.rng.choice(wanted)
        steps.append({"root": end, "weight_is_grad_of": leaf})
    for k, step in enumerate(steps):
        step["retain"] = k + 1 < len(steps) or g.coin(0.2)
    return steps


def ends_of(items):
    used = {i for item in items for i in item.get("in", [])}
    return [i for i, item in enumerate(items) if "op" in item and i not in used]


def draw_graph(rng, registry, focus, names, cap=400, nodes=None):
    """A case with `focus` among its ops; the others are of `names`."""
    while True:
        g = Graph(rng, registry, cap)
        count = nodes or rng.choice([1, 1, 2, 2, 3, 4, 5, 7, 10])
        first = rng.randrange(count)
        for k in range(count):
            g.draw(focus if k == first else rng.choice(names))
        if all(item.get("op") != focus for item in g.items):
            continue
        ends = ends_of(g.items)
        if len(ends) > 3 or g.coin(0.4):
            try:
                ends = [joined(g, ends)]
            except Rejected:
                continue
        case = {"coarse": g.style in ("ties", "large") and not focus.startswith("nn."), "items": g.items,
                "outputs": list(ends), "steps": backward_passes(g, ends)}
        if answer(case, registry):
            return case


def draw_special(rng, registry, focus):
    """One op on infinities, NaN, zeros of both signs and numbers at the ends of f32."""
    for _ in range(200):
        g = Graph(rng, registry, 60)
        g.style, g.sizes = "special", [rng.choice([1, 2, 3, 17]) for _ in range(2)]
        end = g.draw(focus)
        if end is None or not all(g.exact[i] for i in g.items[end]["in"]):
            continue
        weight = g.leaf(g.shape_of(end), grad=False, values=torch.ones(g.shape_of(end), dtype=torch.float64))
        case = {"coarse": True, "items": g.items, "outputs": [end],
                "steps": [{"root": end, "weight": weight, "retain": False}]}
        if answer(case, registry, special=True):
            return case
    return None


# ---- what PyTorch makes of it

def rounded(x, noise):
    """Every element off by up to a rounding of f32."""
    return x * (1 + (torch.rand(x.shape, generator=noise, dtype=x.dtype) * 2 - 1) * 2.0**-23)


def run(case, registry, dtype, noise=None):
    """Values of the outputs, gradients of the leaves that want one, and the largest value and gradient on the way. With
    `noise`, a generator, what each op reads and gives is off by a rounding of f32: an f32 that rounds elsewhere."""
    values = []
    for item in case["items"]:
        if "op" not in item:
            values.append(item["values"].to(dtype, copy=True).requires_grad_(item["grad"]))
            continue
        op, inputs = registry[item["op"]], [values[i] for i in item["in"]]
        noisy = noise is not None and not op.moves and not op.kinks
        y = op.torch([rounded(x, noise) for x in inputs] if noisy and not case["coarse"] else inputs, item)
        y = rounded(y, noise) if noisy else y
        if y.dtype != dtype or any(y is x for x in values):
            y = y.to(dtype, copy=True)
        if y.requires_grad:
            y.retain_grad()
        values.append(y)
    for step in list(case["steps"]):
        root = values[step["root"]]
        weight = values[step["weight"]].detach() if "weight" in step else None
        if "weight_is_grad_of" in step:
            weight = values[step["weight_is_grad_of"]].grad
        if not root.requires_grad or ("weight_is_grad_of" in step and weight is None):
            case["steps"].remove(step)  # nothing to run
            continue
        root.backward(None if weight is None else weight.clone(), retain_graph=True)
        for x, item in zip(values, case["items"]):  # PyTorch may have kept the weight's own memory as a gradient
            if item.get("grad") and x.grad is not None:
                x.grad = x.grad.clone()
    grads = [x for x, item in zip(values, case["items"]) if item.get("grad")]
    grads = [torch.zeros_like(x) if x.grad is None else x.grad for x in grads]
    all_grads = [x.grad for x in values if x.requires_grad and x.grad is not None]
    return ([values[i].detach() for i in case["outputs"]], grads, max(map(largest, values), default=0),
            max(map(largest, all_grads), default=0))


def base(answers, scale):
    """What errors are a part of: the largest value of the tensor, or a twentieth of the largest of the whole graph."""
    return max(largest(answers), scale / 20) or 1.0


def alike(a, b):
    """Whether both have NaN and infinities in the same places."""
    return bool((torch.isnan(a) == torch.isnan(b)).all() and (torch.isfinite(a) == torch.isfinite(b)).all() and
                (a[torch.isinf(a)] == b[torch.isinf(a)]).all())


def answer(case, registry, special=False):
    """Adds PyTorch's answers in f64, how far f32 may be from them, and the scales; False where the graph is too badly
    conditioned to judge by. One f32 may be right by luck, so the distance is the largest of PyTorch's own and of two
    runs with noise."""
    try:
        wide, narrow = (run(case, registry, dtype) for dtype in (torch.float64, torch.float32))
    except RuntimeError:  # PyTorch 1.13 cannot run var of one number backward
        return False
    noise = torch.Generator().manual_seed(0)
    others = [narrow] + [run(case, registry, torch.float64, noise) for _ in range(0 if special else 2)]
    hides = not case["coarse"] and any(registry[item["op"]].hides for item in case["items"] if "op" in item)
    case["scales"] = [wide[2], wide[3] * max(1, wide[2] if hides else 1)]
    case["answers"], case["f32"] = [], []
    for part in (0, 1):
        for k, exact in enumerate(wide[part]):
            if not special and not (bool(torch.isfinite(exact).all()) and bool(torch.isfinite(narrow[part][k]).all())):
                return False
            if special and not alike(exact, narrow[part][k].double()):
                return False
            errors = [largest(other[part][k].double() - exact) / base(exact, case["scales"][part]) for other in others]
            if not errors[0] <= 5e-4:
                return False
            case["answers"].append(exact)
            case["f32"].append(float(f"{max(errors):.2e}"))
    return max(case["scales"]) < 1e7
