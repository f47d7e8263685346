// REINFORCE (Williams 1992). A policy plays whole episodes of CartPole by chance, with the probabilities that it gives
// to the actions. Afterwards the actions that were followed by more reward than others become more probable.
// A policy that knows nothing gets a reward of about 22; 200 is the most there is.
//
//   build/bin/reinforce [scale]        scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include "cartpole.h"

using namespace gradus;

struct Episode {
  std::vector<Tensor> states;
  std::vector<int> actions;
};

Episode play(const nn::Sequential& policy, CartPole& pole) {
  const NoGrad guard;
  Episode episode;
  Tensor state = pole.reset();
  while (!pole.over()) {
    episode.states.push_back(state);
    episode.actions.push_back(multinomial(softmax(policy(state)), 1)[0]);
    state = pole.step(episode.actions.back());
  }
  return episode;
}

// What each step and those after it gave, a step later counting 0.99 times; with mean 0 and variance 1, so that half of
// the actions become more probable and half less.
Tensor discounted(std::size_t steps) {
  std::vector<double> returns(steps);
  double total = 0;
  for (std::size_t i = steps; i-- > 0;) returns[i] = total = 1 + 0.99 * total;
  const Tensor all = tensor(returns);
  return (all - mean(all)) / (gradus::std(all) + 1e-6);
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  const nn::Sequential policy{nn::Linear(4, 64), nn::ReLU(), nn::Linear(64, 2)};
  optim::Adam adam(policy.parameters(), {.lr = 0.005});
  CartPole pole;
  double reward = 0;
  for (int episode = 1; episode <= 600 * scale; ++episode) {
    const auto [states, actions] = play(policy, pole);
    const Tensor log_policy = log_softmax(policy(stack(states)));
    const Tensor chosen = gather(log_policy, 1, Ids(actions).unsqueeze(1)).squeeze(1);
    const Tensor loss = -mean(chosen * discounted(actions.size()));
    adam.zero_grad();
    loss.backward();
    adam.step();
    reward += pole.steps();
    if (episode % 30 == 0) {
      fmt::print("episode {:3}  mean reward of the last 30: {:.1f}\n", episode, reward / 30);
      reward = 0;
    }
  }
}
