// Deep Q-learning (Mnih et al. 2015) of CartPole. A network learns what each action is worth in a state: the reward of
// 1 and what the best action of the next state is worth. It learns from steps of a memory, in random order, and what
// the next state is worth comes from a copy of the network that stays as it is for 500 steps. Random actions get a
// reward of about 22; 200 is the most there is.
//
//   build/bin/dqn [scale]        scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <deque>

#include "cartpole.h"

using namespace gradus;

struct Step {
  Tensor state;
  int action;
  Tensor next;
  double goes_on;  // 0 where the pole fell, else 1
};

// A random action with this chance, else the best.
int choose(const nn::Sequential& values, const Tensor& state, double chance) {
  if (rand({1}).item() < chance) return randint(0, 2, {1})[0];
  const NoGrad guard;
  return argmax(values(state))[0];
}

Tensor loss_of(const nn::Sequential& values, const nn::Sequential& target, const std::deque<Step>& memory,
               const Ids& batch) {
  std::vector<Tensor> states, nexts;
  std::vector<int> actions;
  std::vector<double> goes_on;
  for (const int i : batch) {
    const Step& step = memory.begin()[i];
    states.push_back(step.state);
    actions.push_back(step.action);
    nexts.push_back(step.next);
    goes_on.push_back(step.goes_on);
  }
  const Tensor chosen = gather(values(stack(states)), 1, Ids(actions).unsqueeze(1)).squeeze(1);
  const Tensor expected = (1 + 0.99 * tensor(goes_on) * amax(target(stack(nexts)), 1)).detach();
  return smooth_l1_loss(chosen, expected);
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  const nn::Sequential values{nn::Linear(4, 64), nn::ReLU(), nn::Linear(64, 64), nn::ReLU(), nn::Linear(64, 2)};
  nn::Sequential target = nn::clone(values);
  optim::Adam adam(values.parameters(), {.lr = 0.0005});
  std::deque<Step> memory;
  CartPole pole;
  double reward = 0;
  int count = 0;
  for (int episode = 1; episode <= 200 * scale; ++episode) {
    for (Tensor state = pole.reset(); !pole.over(); ++reward) {
      const int action = choose(values, state, std::max(0.05, 1 - count / 3000.0));
      const Tensor next = pole.step(action);
      memory.push_back({state, action, next, pole.fallen() ? 0.0 : 1.0});
      state = next;
      ++count;
      if (memory.size() > 10000) memory.pop_front();
      if (memory.size() < 500) continue;
      const Tensor loss = loss_of(values, target, memory, randint(0, std::ssize(memory), {128}));
      adam.zero_grad();
      loss.backward();
      adam.step();
      if (count % 500 == 0) target = nn::clone(values);
    }
    if (episode % 10 == 0) {
      fmt::print("episode {:3}  mean reward of the last 10: {:.1f}\n", episode, reward / 10);
      reward = 0;
    }
  }
}
