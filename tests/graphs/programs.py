"""Draws programs of an optimizer: parameters in groups, gradients that change from step to step and are sometimes
absent, clipping, a schedule or a plateau, an average of the weights; and what PyTorch makes of them.

The loss of a step is sum over the parameters p of sum(a p p) / 2 + wave sum(b p), with tensors a and b of the shape of p.
"""
import math
import random

import torch
from torch.optim import lr_scheduler

from draw import base, largest
from paper_optimizers import Lion, Muon

DECAYS = [0, 0.1]
SELDOM = [False, False, False, True]
OPTIMIZERS = {  # options by their names in both libraries, each with what it is drawn from
    "SGD": (torch.optim.SGD, {"momentum": [0, 0.9, 0.5], "dampening": [0, 0, 0.5], "weight_decay": DECAYS,
                              "nesterov": [False, True], "maximize": SELDOM}),
    "Adam": (torch.optim.Adam, {"betas": [[0.9, 0.999], [0.8, 0.95]], "eps": [1e-8, 1e-3], "weight_decay": DECAYS,
                                "amsgrad": [False, True], "maximize": SELDOM}),
    "AdamW": (torch.optim.AdamW, {"betas": [[0.9, 0.999], [0.9, 0.95]], "eps": [1e-8, 1e-6],
                                  "weight_decay": [0.01, 0, 0.1], "amsgrad": [False, True], "maximize": SELDOM}),
    "RMSprop": (torch.optim.RMSprop, {"alpha": [0.99, 0.9], "eps": [1e-8, 1e-3], "weight_decay": DECAYS,
                                      "momentum": [0, 0.8], "centered": [False, True], "maximize": SELDOM}),
    "Adagrad": (torch.optim.Adagrad, {"lr_decay": [0, 0.01], "weight_decay": DECAYS,
                                      "initial_accumulator_value": [0, 0.1], "eps": [1e-10, 1e-3],
                                      "maximize": SELDOM}),
    "Adamax": (torch.optim.Adamax, {"betas": [[0.9, 0.999], [0.8, 0.95]], "eps": [1e-8, 1e-3], "weight_decay": DECAYS,
                                    "maximize": SELDOM}),
    "NAdam": (torch.optim.NAdam, {"betas": [[0.9, 0.999], [0.8, 0.95]], "eps": [1e-8, 1e-3], "weight_decay": DECAYS,
                                  "momentum_decay": [4e-3, 0, 0.1]}),
    "RAdam": (torch.optim.RAdam, {"betas": [[0.9, 0.999], [0.8, 0.95]], "eps": [1e-8, 1e-3], "weight_decay": DECAYS}),
    "Lion": (Lion, {"betas": [[0.9, 0.99], [0.8, 0.95]], "weight_decay": DECAYS}),
    "Muon": (Muon, {"weight_decay": DECAYS, "momentum": [0.95, 0.5, 0], "nesterov": [True, False],
                    "eps": [1e-7, 1e-3], "ns_steps": [5, 3]}),
    "LBFGS": (torch.optim.LBFGS, {"max_iter": [1, 2, 4], "max_eval": [None, 3], "tolerance_grad": [1e-7, 1e-2],
                                  "tolerance_change": [1e-9], "history_size": [100, 2],
                                  "line_search_fn": [None, "strong_wolfe"]}),
}
SCHEDULES = ["constant", "linear", "cosine"]  # Schedule::Kind, in its order


def numbers(rng, shape, low, high):
    count = math.prod(shape)
    return torch.tensor([int((low + (high - low) * rng.random()) * 16384) / 16384 for _ in range(count)],
                        dtype=torch.float64).reshape(shape)


def draw_shapes(rng, optimizer):
    ranks = [2] if optimizer == "Muon" else [0, 1, 1, 2]
    shapes = [[rng.choice([1, 2, 3, 5, 9, 17, 33, 35]) for _ in range(rng.choice(ranks))]
              for _ in range(rng.choice([1, 2, 3, 4]))]
    return [shape if math.prod(shape) <= 120 else [3, *shape[1:]] if optimizer == "Muon" else shape[:1]
            for shape in shapes]


def draw_groups(rng, optimizer, count):
    if optimizer == "LBFGS":  # has one group, without a decay
        return [{"params": list(range(count)), "lr_scale": 1, "weight_decay": None}]
    cut = rng.randint(0, count)
    return [{"params": part, "lr_scale": rng.choice([1, 1, 0.5]), "weight_decay": rng.choice([None, None, 0, 0.2])}
            for part in (list(range(cut)), list(range(cut, count))) if part]


def draw_program(rng, optimizer, longest=100, shortest=20):
    while True:
        steps = rng.randint(shortest, longest)
        if optimizer == "LBFGS":  # each takes several directions
            steps = max(10, steps // 10)
        shapes = draw_shapes(rng, optimizer)
        options = {key: rng.choice(choices) for key, choices in OPTIMIZERS[optimizer][1].items()}
        if options.get("nesterov") and optimizer == "SGD":
            options.update(momentum=0.9, dampening=0)
        options["lr"] = rng.choice([1, 0.5] if optimizer == "LBFGS" else [0.1, 0.01, 0.003])
        case = {
            "optimizer": optimizer, "options": options, "steps": steps, "shapes": shapes,
            "groups": draw_groups(rng, optimizer, len(shapes)),
            "values": [[numbers(rng, shape, *bounds) for shape in shapes] for bounds in ((-2, 2), (0.25, 1), (-1, 1))],
            "waves": [rng.choice([-1, 0.5, 1, 0]) for _ in range(steps)],
            "present": [[rng.random() < 0.9 for _ in shapes] for _ in range(steps)],
            "clip": rng.choice([None, {"norm": 0.5}, {"norm": 100.0}, {"value": 0.25}]) if optimizer != "LBFGS" else None,
            "ema": rng.choice([None, None, 0.9]), "schedule": None, "plateau": None,
        }
        choice = rng.random()
        if choice < 0.5:
            case["schedule"] = {"kind": rng.randrange(3), "max_lr": options["lr"], "min_lr": options["lr"] / 10,
                                "warmup": rng.choice([0, 0, 5]), "total": rng.choice([steps, steps // 2])}
        elif choice < 0.7:
            case["plateau"] = {"options": {"factor": rng.choice([0.1, 0.5]), "patience": rng.choice([0, 2]),
                                           "cooldown": rng.choice([0, 2]), "min_lr": rng.choice([0, 1e-3]),
                                           "maximize": rng.random() < 0.3},
                               "metrics": [rng.choice([3, 2, 2.5, 1, 4]) for _ in range(steps)]}
        if answer_program(case):
            return case


def rate(schedule, step):
    """nanoGPT's: a warm-up from max / (warmup + 1), then constant, a line, or half a cosine to min."""
    highest, lowest, warm, total = (schedule[key] for key in ("max_lr", "min_lr", "warmup", "total"))
    kind = SCHEDULES[schedule["kind"]]
    if step < warm:
        return highest * (step + 1) / (warm + 1)
    if kind == "constant":
        return highest
    done = 1 if step >= total else (step - warm) / (total - warm)
    return lowest + (highest - lowest) * (1 - done if kind == "linear" else (1 + math.cos(math.pi * done)) / 2)


def clip(params, limit):
    """The norm, or None where numbers are clipped one by one."""
    if "value" in limit:
        return torch.nn.utils.clip_grad_value_(params, limit["value"])
    return float(torch.nn.utils.clip_grad_norm_(params, limit["norm"]))


def run_program(case, dtype):
    """Parameters, averages, norms and rates at the end; None if Lion took a sign that rounding might turn."""
    start, a, b = ([x.to(dtype, copy=True) for x in part] for part in case["values"])
    params = [torch.nn.Parameter(x) for x in start]
    averages = [x.clone() for x in start] if case["ema"] is not None else []
    groups = [{"params": [params[i] for i in group["params"]],
               **({} if group["weight_decay"] is None else {"weight_decay": group["weight_decay"]})}
              for group in case["groups"]]
    optimizer = OPTIMIZERS[case["optimizer"]][0](groups, **case["options"])
    followed = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=case["options"]["lr"])
    plateau = None
    if case["plateau"]:
        options = dict(case["plateau"]["options"])
        options["mode"] = "max" if options.pop("maximize") else "min"
        plateau = lr_scheduler.ReduceLROnPlateau(followed, **options)
    norms, rates = [], []

    def gradients(step):
        optimizer.zero_grad(set_to_none=True)
        terms = [(a[i] * p * p).sum() * 0.5 + (b[i] * p).sum() * case["waves"][step]
                 for i, p in enumerate(params) if case["present"][step][i]]
        loss = sum(terms[1:], terms[0]) if terms else torch.zeros(())
        if terms:
            loss.backward()
        if case["clip"] is not None and terms:
            norms.append(clip(params, case["clip"]))
        return loss

    for step in range(case["steps"]):
        lr = rate(case["schedule"], step) if case["schedule"] else followed.param_groups[0]["lr"]
        for group, given in zip(optimizer.param_groups, case["groups"]):
            group["lr"] = lr * given["lr_scale"]
        if case["optimizer"] == "LBFGS":
            optimizer.step(lambda: gradients(step))
        else:
            gradients(step)
            optimizer.step()
        for average, p in zip(averages, params):
            average.mul_(case["ema"]).add_(p.detach(), alpha=1 - case["ema"])
        rates.append(lr)
        if plateau:
            plateau.step(case["plateau"]["metrics"][step])
    if getattr(optimizer, "closest", 1) < 2e-7:
        return None
    return [p.detach() for p in params] + averages + [
        torch.tensor([norm for norm in norms if norm is not None], dtype=torch.float64),
        torch.tensor(rates, dtype=torch.float64)]


def run_in_type(case, dtype):
    torch.set_default_dtype(dtype)  # NAdam keeps a product of this type
    try:
        return run_program(case, dtype)
    finally:
        torch.set_default_dtype(torch.float32)


def is_steady(case, wide):
    """Whether a start that differs by 1e-7 leads to nearly the same end. L-BFGS steps along differences of gradients,
    and where a test of its search is close, rounding decides which way it goes."""
    for factor in (1 + 1e-7, 1 - 1e-7):
        start, a, b = case["values"]
        moved = run_in_type({**case, "values": [[x * factor for x in start], a, b]}, torch.float64)
        if any(not largest(y - x) <= 1e-5 * base(x, case["scales"][0]) for x, y in zip(wide, moved)):
            return False
    return True


def answer_program(case):
    wide, narrow = run_in_type(case, torch.float64), run_in_type(case, torch.float32)
    if wide is None or narrow is None:
        return False
    if any(not bool(torch.isfinite(x).all()) or largest(x) > 1e6 for x in wide + narrow):
        return False
    case["scales"] = [max(map(largest, wide)), 0]
    case["answers"] = wide
    errors = [largest(b.double() - a) / base(a, case["scales"][0]) for a, b in zip(wide, narrow)]
    least = 0
    if case["optimizer"] == "LBFGS":
        if not is_steady(case, wide):
            return False
        least = 1  # near a minimum the differences are rounding in f32, and so are the steps: only f64 is judged
    case["f32"] = [float(f"{max(error, least):.2e}") for error in errors]
    return max(errors) < 5e-4
