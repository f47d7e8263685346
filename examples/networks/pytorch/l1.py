# Linear regression with an L1 penalty (Tibshirani 1996, the lasso): of 20 weights only 4 matter, and it finds them.
import sys

import torch

scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
torch.manual_seed(1)
truth = torch.tensor([0, 0, 1.5, 0, 0, -2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, -0.7, 0, 0])
x = torch.randn(50, 20)
y = x @ truth + 0.5 * torch.randn(50)

for penalty in (0.0, 0.2):
    w = torch.zeros(20, requires_grad=True)
    adam = torch.optim.Adam([w], lr=0.05)
    scheduler = torch.optim.lr_scheduler.StepLR(adam, 500, gamma=0.1)
    for step in range(int(1500 * scale)):
        loss = (x @ w - y).square().mean() + penalty * torch.norm(w, 1)
        adam.zero_grad()
        loss.backward()
        adam.step()
        scheduler.step()
    print(f"penalty {penalty}: {int((w.abs() > 0.01).sum())} of 20 weights are not 0; error {torch.norm(w - truth):.2f}")
    print("  ", " ".join(f"{v:.2f}" for v in w.tolist()))
print("truth:\n  ", " ".join(f"{v:.2f}" for v in truth.tolist()))
