# Deep Q-learning (Mnih et al. 2015) of CartPole: the value of each action, from a memory of past steps.
import collections
import copy
import sys

import torch
from torch import nn
import torch.nn.functional as F

from cartpole import CartPole

Step = collections.namedtuple("Step", "state action next goes_on")
scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
torch.manual_seed(1)
values = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
target = copy.deepcopy(values)
adam = torch.optim.Adam(values.parameters(), lr=0.0005)
memory = collections.deque(maxlen=10000)


def choose(state, chance):
    if torch.rand(1).item() < chance:
        return torch.randint(0, 2, (1,)).item()
    with torch.no_grad():
        return values(state).argmax().item()


def loss_of(batch):
    states = torch.stack([step.state for step in batch])
    nexts = torch.stack([step.next for step in batch])
    actions = torch.tensor([step.action for step in batch])
    goes_on = torch.tensor([step.goes_on for step in batch])
    chosen = values(states).gather(1, actions.unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        expected = 1 + 0.99 * goes_on * target(nexts).amax(1)
    return F.smooth_l1_loss(chosen, expected)


pole = CartPole()
rewards = []
count = 0
for episode in range(int(200 * scale)):
    state = pole.reset()
    while not pole.over():
        action = choose(state, max(0.05, 1 - count / 3000))
        next_state = pole.step(action)
        memory.append(Step(state, action, next_state, 0.0 if pole.fallen() else 1.0))
        state = next_state
        count += 1
        if len(memory) < 500:
            continue
        loss = loss_of([memory[i] for i in torch.randint(0, len(memory), (128,))])
        adam.zero_grad()
        loss.backward()
        adam.step()
        if count % 500 == 0:
            target.load_state_dict(values.state_dict())
    rewards.append(float(pole.steps))
    if len(rewards) % 10 == 0:
        print(f"episode {len(rewards):3}  mean reward of the last 10: {torch.tensor(rewards[-10:]).mean():.1f}")
