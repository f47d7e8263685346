# REINFORCE (Williams 1992): a policy learns to keep a pole up from the rewards of whole episodes.
import sys

import torch
from torch import nn

from cartpole import CartPole

scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
torch.manual_seed(1)
policy = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))
adam = torch.optim.Adam(policy.parameters(), lr=0.005)
pole = CartPole()


@torch.no_grad()
def play():
    states, actions = [], []
    state = pole.reset()
    while not pole.over():
        states.append(state)
        actions.append(torch.multinomial(policy(state).softmax(-1), 1).item())
        state = pole.step(actions[-1])
    return states, actions


def discounted(steps):
    returns = [0.0] * steps
    total = 0.0
    for i in reversed(range(steps)):
        total = 1 + 0.99 * total
        returns[i] = total
    returns = torch.tensor(returns)
    return (returns - returns.mean()) / (returns.std() + 1e-6)


rewards = []
for episode in range(int(600 * scale)):
    states, actions = play()
    log_policy = policy(torch.stack(states)).log_softmax(-1)
    chosen = log_policy.gather(1, torch.tensor(actions).unsqueeze(1)).squeeze(1)
    loss = -(chosen * discounted(len(states))).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    rewards.append(float(len(states)))
    if len(rewards) % 30 == 0:
        print(f"episode {len(rewards):3}  mean reward of the last 30: {torch.tensor(rewards[-30:]).mean():.1f}")
