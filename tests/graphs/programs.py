"""Draws programs of an optimizer: parameters in groups, gradients that change from step to step and are sometimes
absent, clipping, a schedule or a plateau, an average of the weights; and what PyTorch makes of them.

The loss of a step is sum over the parameters p of sum(a p p) / 2 + wave sum(b p), with tensors a and b of the shape of p.
"""
import math
import random

import torch
from torch.optim import lr_scheduler

from draw import base, largest

OPTIMIZERS = {  # options by their names in both libraries, each with what it is drawn from
    "SGD": (torch.optim.SGD, {"momentum": [0, 0.9, 0.5], "dampening": [0, 0, 0.5], "weight_decay": [0, 0.1],
                              "nesterov": [False, True]}),
    "Adam": (torch.optim.Adam, {"betas": [[0.9, 0.999], [0.8, 0.95]], "eps": [1e-8, 1e-3], "weight_decay": [0, 0.1]}),
    "AdamW": (torch.optim.AdamW, {"betas": [[0.9, 0.999], [0.9, 0.95]], "eps": [1e-8, 1e-6],
                                  "weight_decay": [0.01, 0, 0.1]}),
    "RMSprop": (torch.optim.RMSprop, {"alpha": [0.99, 0.9], "eps": [1e-8, 1e-3], "weight_decay": [0, 0.1],
                                      "momentum": [0, 0.8]}),
}
SCHEDULES = ["constant", "linear", "cosine"]  # Schedule::Kind, in its order


def numbers(rng, shape, low, high):
    count = math.prod(shape)
    return torch.tensor([int((low + (high - low) * rng.random()) * 16384) / 16384 for _ in range(count)],
                        dtype=torch.float64).reshape(shape)


def draw_program(rng, optimizer, longest=100):
    while True:
        steps = rng.randint(20, longest)
        shapes = [[rng.choice([1, 2, 3, 5, 9, 17, 33, 35]) for _ in range(rng.choice([0, 1, 1, 2]))]
                  for _ in range(rng.choice([1, 2, 3, 4]))]
        shapes = [shape if math.prod(shape) <= 120 else shape[:1] for shape in shapes]
        options = {key: rng.choice(choices) for key, choices in OPTIMIZERS[optimizer][1].items()}
        if options.get("nesterov"):
            options.update(momentum=0.9, dampening=0)
        options["lr"] = rng.choice([0.1, 0.01, 0.003])
        cut = rng.randint(0, len(shapes))
        groups = [part for part in (list(range(cut)), list(range(cut, len(shapes)))) if part]
        case = {
            "optimizer": optimizer, "options": options, "steps": steps, "shapes": shapes,
            "groups": [{"params": part, "lr_scale": rng.choice([1, 1, 0.5]),
                        "weight_decay": rng.choice([None, None, 0, 0.2])} for part in groups],
            "values": [[numbers(rng, shape, *bounds) for shape in shapes] for bounds in ((-2, 2), (0.25, 1), (-1, 1))],
            "waves": [rng.choice([-1, 0.5, 1, 0]) for _ in range(steps)],
            "present": [[rng.random() < 0.9 for _ in shapes] for _ in range(steps)],
            "clip": rng.choice([None, 0.5, 100.0]), "ema": rng.choice([None, None, 0.9]),
            "schedule": None, "plateau": None,
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


def run_program(case, dtype):
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
    for step in range(case["steps"]):
        lr = rate(case["schedule"], step) if case["schedule"] else followed.param_groups[0]["lr"]
        for group, given in zip(optimizer.param_groups, case["groups"]):
            group["lr"] = lr * given["lr_scale"]
        optimizer.zero_grad(set_to_none=True)
        terms = [(a[i] * p * p).sum() * 0.5 + (b[i] * p).sum() * case["waves"][step]
                 for i, p in enumerate(params) if case["present"][step][i]]
        if terms:
            sum(terms[1:], terms[0]).backward()
        if case["clip"] is not None and terms:
            norms.append(float(torch.nn.utils.clip_grad_norm_(params, case["clip"])))
        optimizer.step()
        for average, p in zip(averages, params):
            average.mul_(case["ema"]).add_(p.detach(), alpha=1 - case["ema"])
        rates.append(lr)
        if plateau:
            plateau.step(case["plateau"]["metrics"][step])
    return [p.detach() for p in params] + averages + [torch.tensor(norms, dtype=torch.float64),
                                                      torch.tensor(rates, dtype=torch.float64)]


def answer_program(case):
    wide, narrow = run_program(case, torch.float64), run_program(case, torch.float32)
    if any(not bool(torch.isfinite(x).all()) or largest(x) > 1e6 for x in wide + narrow):
        return False
    case["scales"] = [max(map(largest, wide)), 0]
    case["answers"] = wide
    errors = [largest(b.double() - a) / base(a, case["scales"][0]) for a, b in zip(wide, narrow)]
    case["f32"] = [float(f"{error:.2e}") for error in errors]
    return max(errors) < 5e-4
