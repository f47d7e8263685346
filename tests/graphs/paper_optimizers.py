"""Optimizers that PyTorch 1.13 does not have, one statement per line of their papers, on tensors."""
import torch


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, program 1. `closest`: the smallest size of what a sign was taken of, where it was not 0."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})
        self.closest = float("inf")

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                m = self.state[w].setdefault("exp_avg", torch.zeros_like(w))
                update = beta1 * m + (1 - beta1) * w.grad
                sizes = update.abs()[update != 0]
                if sizes.numel():
                    self.closest = min(self.closest, float(sizes.min()))
                w.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * torch.sign(update))
                self.state[w]["exp_avg"] = beta2 * m + (1 - beta2) * w.grad


class Muon(torch.optim.Optimizer):
    """Jordan et al. 2024, in the form of torch.optim.Muon (PyTorch 2.9), with NS in the parameter's type."""

    def __init__(self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True, eps=1e-7, ns_steps=5):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                                  "eps": eps, "ns_steps": ns_steps})

    @staticmethod
    def orthogonal(g, eps, steps):
        a, b, c = 3.4445, -4.7750, 2.0315
        x = g.T if g.size(0) > g.size(1) else g
        x = x / x.norm().clamp(min=eps)
        for _ in range(steps):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        return x.T if g.size(0) > g.size(1) else x

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                buffer = self.state[w].setdefault("momentum_buffer", torch.zeros_like(w))
                buffer.lerp_(w.grad, 1 - group["momentum"])
                update = w.grad.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer
                update = self.orthogonal(update, group["eps"], group["ns_steps"])
                w.mul_(1 - group["lr"] * group["weight_decay"])
                w.sub_(group["lr"] * max(1, w.size(0) / w.size(1)) ** 0.5 * update)
