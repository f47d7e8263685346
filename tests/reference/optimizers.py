"""Optimizers, clipping and schedules: what they make of given parameters and changing gradients, step by step."""
import math
import warnings

import torch
from torch.optim import lr_scheduler

from store import values

STEPS = 7

OPTIMIZERS = {
    "SGD_plain": (torch.optim.SGD, {"lr": 0.1}),
    "SGD_momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "SGD_dampening": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    "SGD_nesterov": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "SGD_weight_decay": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "Adam_default": (torch.optim.Adam, {}),
    "Adam_betas": (torch.optim.Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3}),
    "Adam_weight_decay": (torch.optim.Adam, {"lr": 0.02, "weight_decay": 0.1}),
    "RMSprop_default": (torch.optim.RMSprop, {}),
    "RMSprop_momentum": (torch.optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "momentum": 0.8, "eps": 1e-3}),
    "RMSprop_weight_decay": (torch.optim.RMSprop, {"lr": 0.02, "weight_decay": 0.1}),
    "AdamW_default": (torch.optim.AdamW, {}),
    "AdamW_betas": (torch.optim.AdamW, {"lr": 0.02, "betas": (0.9, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
}


def steps(store):
    """in/p: the parameter; in/gradients: one for each step, the third 0; out: the parameter after each step."""
    for name, (kind, options) in OPTIMIZERS.items():
        def run(p, gradients):
            p = torch.nn.Parameter(p.clone())
            optimizer = kind([p], **options)
            path = []
            for gradient in gradients:
                p.grad = gradient.clone()
                optimizer.step()
                path.append(p.detach().clone())
            return torch.stack(path)

        gradients = values(f"{name}/gradients", (STEPS, 3, 7))
        gradients[2] = 0
        store.case(name, run, {"p": values(f"{name}/p", (3, 7)), "gradients": gradients}, constants=["p", "gradients"])


def clipping(store):
    """in/0, in/1: gradients; out: their norm before, then all of them after."""
    for name, limit in [("clip_grad_norm_above", 1.5), ("clip_grad_norm_below", 100.0)]:
        def clip(*gradients):
            p = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
            for parameter, gradient in zip(p, gradients):
                parameter.grad = gradient.clone()
            norm = torch.nn.utils.clip_grad_norm_(p, limit)
            return torch.cat([norm.reshape(1)] + [parameter.grad.flatten() for parameter in p])

        store.case(name, clip, [values(f"{name}/0", (3, 7)), values(f"{name}/1", (5,))], constants=["0", "1"])


def schedules(store):
    """out: the rates of steps 0 .. total + 2. PyTorch's schedulers where one equals it; the warm-up from the start
    1 / (warmup + 1) is LinearLR's. A cosine after a warm-up and one held at its end are a formula: nanoGPT's."""
    def rates(scheduler, last, highest):
        p = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([p], lr=highest)
        chosen = scheduler(optimizer)
        all_rates = []
        for _ in range(last + 1):
            all_rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            chosen.step()
        return torch.tensor(all_rates, dtype=torch.float64)

    def warmup(optimizer, count):
        return lr_scheduler.LinearLR(optimizer, start_factor=1 / (count + 1), end_factor=1, total_iters=count)

    def cosine(step, highest, lowest, warm, total):
        if step < warm:
            return highest * (step + 1) / (warm + 1)
        if step >= total:
            return lowest
        return lowest + (highest - lowest) * (1 + math.cos(math.pi * (step - warm) / (total - warm))) / 2

    recorded = {
        "Schedule_constant": rates(lambda o: lr_scheduler.ConstantLR(o, factor=1), 20, 0.003),
        "Schedule_constant_warmup": rates(lambda o: warmup(o, 5), 20, 0.003),
        "Schedule_linear": rates(
            lambda o: lr_scheduler.LinearLR(o, start_factor=1, end_factor=0.1, total_iters=20), 22, 0.01),
        "Schedule_linear_warmup": rates(
            lambda o: lr_scheduler.SequentialLR(o, [warmup(o, 5), lr_scheduler.LinearLR(
                o, start_factor=1, end_factor=0.1, total_iters=15)], milestones=[5]), 22, 0.01),
        "Schedule_cosine": rates(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=20, eta_min=0.001), 20, 0.01),
        "Schedule_cosine_warmup": torch.tensor([cosine(step, 0.01, 0.001, 5, 20) for step in range(23)],
                                               dtype=torch.float64),
    }
    for name, out in recorded.items():
        store.put(f"{name}/f64/out", out)


METRICS = [4, 3, 3.0001, 2.9999, 3.5, 3.2, 2.5, float("nan"), 2.6, 2.55, 2.54, 2.4, 2.41, 2.42, 2.43, 2.44, 2.45, 1, 1, 1]


def plateaus(store):
    """in/metrics: losses (negated where larger is better); out: the rate after each."""
    for name, options in {"ReduceLROnPlateau_default": {"patience": 2},
                          "ReduceLROnPlateau_cooldown": {"patience": 1, "cooldown": 2, "factor": 0.5, "min_lr": 0.02},
                          "ReduceLROnPlateau_maximize": {"mode": "max", "patience": 0, "factor": 0.3,
                                                         "threshold": 0.01}}.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for metric in METRICS:
            scheduler.step(1 / metric if "mode" in options else metric)
            rates.append(optimizer.param_groups[0]["lr"])
        store.put(f"{name}/f64/out", torch.tensor(rates, dtype=torch.float64))


def averages(store):
    """in/p: the weight at each step; out: its average after each, by swa_utils.AveragedModel."""
    class Model(torch.nn.Module):
        def __init__(self, p):
            super().__init__()
            self.p = torch.nn.Parameter(p.clone())

    def run(path):
        model = Model(path[0])
        averaged = torch.optim.swa_utils.AveragedModel(model, avg_fn=lambda a, p, n: 0.9 * a + (1 - 0.9) * p)
        averaged.update_parameters(model)  # PyTorch's first only copies
        all_averages = []
        for value in path[1:]:
            model.p.data.copy_(value)
            averaged.update_parameters(model)
            all_averages.append(averaged.module.p.detach().clone())
        return torch.stack(all_averages)

    store.case("EMA_path", run, {"p": values("EMA_path", (STEPS, 3, 7))}, constants=["p"])


def record(store):
    warnings.filterwarnings("ignore", message="The epoch parameter in `scheduler.step")  # SequentialLR's own calls
    for part in (steps, clipping, schedules, plateaus, averages):
        part(store)
