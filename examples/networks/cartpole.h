// CartPole (Barto, Sutton & Anderson 1983): a pole stands on a cart that is pushed left or right, 50 times a second.
// Each step that it stands gives a reward of 1. An episode is over when the pole or the cart is too far off, or after
// 200 steps.
#pragma once

#include <gradus/gradus.h>

#include <algorithm>
#include <cmath>

class CartPole {
 public:
  // Place, speed, angle and angular speed, (4).
  gradus::Tensor reset() {
    std::ranges::copy((gradus::rand({4}) * 0.1 - 0.05).to_vector(), state_);
    steps_ = 0;
    return gradus::tensor(state_);
  }
  // Action 0 pushes to the left, 1 to the right.
  gradus::Tensor step(int action) {
    constexpr double gravity = 9.8, mass = 1.1, pole_mass = 0.1, half_length = 0.5, tick = 0.02;
    auto& [x, speed, angle, spin] = state_;
    const double force = action == 1 ? 10 : -10;
    const double push = (force + pole_mass * half_length * spin * spin * std::sin(angle)) / mass;
    const double turn = (gravity * std::sin(angle) - std::cos(angle) * push) /
                        (half_length * (4.0 / 3 - pole_mass * std::cos(angle) * std::cos(angle) / mass));
    const double acceleration = push - pole_mass * half_length * turn * std::cos(angle) / mass;
    x += tick * speed;
    speed += tick * acceleration;
    angle += tick * spin;
    spin += tick * turn;
    ++steps_;
    return gradus::tensor(state_);
  }
  bool fallen() const { return std::abs(state_[0]) > 2.4 || std::abs(state_[2]) > 0.2095; }
  int steps() const { return steps_; }
  bool over() const { return fallen() || steps_ == 200; }

 private:
  double state_[4] = {};
  int steps_ = 0;
};
