// peer_libtorch: the training step of step.cpp's step/xor in libtorch's C++ API. Serves compare.py as the suites do.
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

int main() {
  torch::manual_seed(1);
  const torch::Tensor x = torch::tensor({{0.F, 0.F}, {0.F, 1.F}, {1.F, 0.F}, {1.F, 1.F}});
  const torch::Tensor y = torch::tensor({{0.F}, {1.F}, {1.F}, {0.F}});
  torch::nn::Sequential net(torch::nn::Linear(2, 8), torch::nn::Tanh(), torch::nn::Linear(8, 1));
  torch::optim::Adam adam(net->parameters(), torch::optim::AdamOptions(0.05));
  const auto step = [&] {
    torch::Tensor loss = torch::binary_cross_entropy_with_logits(net->forward(x), y);
    adam.zero_grad();
    loss.backward();
    adam.step();
    return loss;
  };
  for (int i = 0; i < 300; ++i) step();
  if (step().item<float>() > 0.1F) {
    std::cout << R"({"error": "peer_libtorch: the network has not learned XOR"})" << std::endl;
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    std::string name;
    int threads = 0;
    double patience = 0;
    std::istringstream(line) >> name >> threads >> patience;
    torch::set_num_threads(threads);
    std::vector<double> times;
    for (double total = 0; times.empty() || total < patience; total += times.back()) {
      const auto start = std::chrono::steady_clock::now();
      step();
      times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    std::cout << "{\"seconds\": " << *middle << ", \"peak\": 0}" << std::endl;
  }
}
