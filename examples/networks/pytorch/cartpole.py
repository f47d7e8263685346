# CartPole (Barto, Sutton & Anderson 1983), for dqn.py and reinforce.py.
import math

import torch


class CartPole:
    def reset(self):
        self.state = (torch.rand(4) * 0.1 - 0.05).tolist()
        self.steps = 0
        return torch.tensor(self.state)

    def step(self, action):
        gravity, mass, pole_mass, half_length, tick = 9.8, 1.1, 0.1, 0.5, 0.02
        x, speed, angle, spin = self.state
        force = 10 if action == 1 else -10
        push = (force + pole_mass * half_length * spin * spin * math.sin(angle)) / mass
        turn = (gravity * math.sin(angle) - math.cos(angle) * push) / (
            half_length * (4.0 / 3 - pole_mass * math.cos(angle) * math.cos(angle) / mass)
        )
        acceleration = push - pole_mass * half_length * turn * math.cos(angle) / mass
        self.state = [x + tick * speed, speed + tick * acceleration, angle + tick * spin, spin + tick * turn]
        self.steps += 1
        return torch.tensor(self.state)

    def fallen(self):
        return abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.2095

    def over(self):
        return self.fallen() or self.steps == 200
