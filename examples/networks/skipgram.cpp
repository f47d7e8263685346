// word2vec: skip-gram with negative sampling (Mikolov et al. 2013), on sentences that the program makes. A word's
// vector learns to have a large dot product with the words around it and a small one with words drawn by chance. Words
// of one kind stand among the same others, so their vectors become alike.
//
//   build/bin/skipgram [scale]        scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <algorithm>
#include <string>

using namespace gradus;

const std::vector<std::vector<std::string>> kinds = {
    {"cat", "dog", "horse", "mouse"},        {"eats", "likes", "finds", "wants"},
    {"bread", "cheese", "fruit", "grass"},   {"king", "queen", "prince", "duke"},
    {"rules", "leaves", "loses", "defends"}, {"cities", "castles", "islands", "villages"},
};

// "the cat eats bread", or of a king and cities, as ids: 0 is "the".
std::vector<int> sentence() {
  const int first = 3 * randint(0, 2, {1})[0];
  const auto word = [&](int i) { return 1 + 4 * (first + i) + randint(0, 4, {1})[0]; };
  const int a = word(0), b = word(1), c = word(2);
  return {0, a, b, c};
}

struct SkipGram : nn::Module {
  SkipGram(Index words, Index dim) : center(words, dim), context(words, dim) {
    nn::init::uniform_(center.weight, -0.03, 0.03);  // small: what no word around asks for stays small
  }

  Tensor operator()(const Tensor& centers, const Tensor& contexts, const Ids& negatives) const {
    const Tensor c = center(centers);
    const Tensor near = (c * context(contexts)).sum(1);
    const Tensor far = matmul(context(negatives), c.unsqueeze(2)).squeeze(2);
    return -(logsigmoid(near) + logsigmoid(-far).sum(1)).mean();
  }
  void members(nn::Visitor& visit) const override {
    visit("center", center);
    visit("context", context);
  }

  nn::Embedding center, context;
};

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  std::vector<std::string> words = {"the"};
  for (const auto& kind : kinds) words.insert(words.end(), kind.begin(), kind.end());

  std::vector<int> centers, contexts;
  std::vector<double> counts(words.size());
  for (int n = 0; n < 2000; ++n) {
    const std::vector<int> ids = sentence();
    for (int i = 0; i < 4; ++i) {
      ++counts[ids[i]];
      for (int j = std::max(i - 2, 0); j < std::min(i + 3, 4); ++j) {
        if (j == i) continue;
        centers.push_back(ids[i]);
        contexts.push_back(ids[j]);
      }
    }
  }

  const SkipGram net(std::ssize(words), 16);
  optim::Adam adam(net.parameters(), {.lr = 0.01});
  nn::DataLoader loader({tensor(centers), tensor(contexts)}, {.batch_size = 256, .shuffle = true});
  for (int epoch = 1; epoch <= 10 * scale; ++epoch) {
    double last = 0;
    for (const nn::Batch& batch : loader) {
      const Ids negatives = multinomial(pow(tensor(counts), 0.75), 5 * batch.size(), true).reshape({-1, 5});
      const Tensor loss = net(batch[0], batch[1], negatives);
      adam.zero_grad();
      loss.backward();
      adam.step();
      last = loss.item();
    }
    fmt::print("epoch {:2}  loss {:.3f}\n", epoch, last);
  }

  const NoGrad guard;
  const Tensor vectors = net.center.weight;
  for (const auto& kind : kinds) {
    const Index id = std::ranges::find(words, kind[0]) - words.begin();
    const Sorted alike = topk(cosine_similarity(vectors[id].unsqueeze(0), vectors), 4);
    fmt::print("{}:", kind[0]);
    for (int i = 1; i < 4; ++i) fmt::print(" {} {:.2f}", words[alike.indices[i]], alike.values[i]);
    fmt::print("\n");
  }
}
