// Names, letter by letter. An LSTM reads names and learns which letter comes next; then it makes up names of its own.
//
//   build/bin/lstm
#include <fmt/format.h>
#include <gradus/gradus.h>
#include <gradus_embedded/names.h>

using namespace gradus;

constexpr Index longest = 15;  // letters of a name, with its end

struct CharLSTM : nn::Module {
  nn::Embedding embedding;
  nn::LSTM lstm{32, 128};
  nn::Linear head;
  explicit CharLSTM(Index vocab) : embedding(vocab, 32), head(128, vocab) {}
  void members(nn::Visitor& visit) const override {
    visit("embedding", embedding);
    visit("lstm", lstm);
    visit("head", head);
  }
  // Logits of the next letter at each step, (B, T, V), and the state to go on from.
  std::pair<Tensor, nn::RecurrentResult> operator()(const Ids& letters, const nn::RecurrentResult& state = {}) const {
    const nn::RecurrentResult result = lstm.run(embedding(letters), state.h, state.c);
    return {head(result.output), result};
  }
};

// Of a name the letters from its boundary on, and those that come next. Past the end there is no target.
struct Names {
  std::vector<std::string> names;
  models::CharTokenizer tokenizer;
  Index size() const { return Index(names.size()); }
  std::pair<std::vector<std::int32_t>, std::vector<std::int32_t>> get(Index i) const {
    std::vector<std::int32_t> tokens{tokenizer.boundary()};
    tokenizer.encode(names[std::size_t(i)], "name", tokens);
    tokens.push_back(tokenizer.boundary());
    std::vector<std::int32_t> inputs(tokens.begin(), tokens.end() - 1), targets(tokens.begin() + 1, tokens.end());
    inputs.resize(longest, 0);
    targets.resize(longest, -1);
    return {inputs, targets};
  }
};

Tensor loss_of(const CharLSTM& model, const nn::Batch& batch) {
  const Shape shape{batch.size(), longest};
  const auto [logits, state] = model(Ids(batch.ids(0), shape));
  return cross_entropy(logits, Ids(batch.ids(1), shape));
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;  // of the number of names to train on
  manual_seed(1);
  std::vector<std::string> names = models::split_documents(embedded::names);
  std::ranges::shuffle(names, default_generator());
  const auto tokenizer = models::CharTokenizer::from_documents(names);
  const Names test{{names.begin(), names.begin() + 1000}, tokenizer};
  const Names train{{names.begin() + 1000, names.begin() + 1000 + int(19000 * scale)}, tokenizer};
  nn::DataLoader test_loader(test, {.batch_size = 1000}), loader(train, {.batch_size = 64, .shuffle = true});

  const CharLSTM model(tokenizer.vocab_size());
  optim::Adam optimizer(model.parameters(), {.lr = 4e-3});
  for (int epoch = 1; epoch <= 4; ++epoch) {
    for (const nn::Batch& batch : loader) {
      const Tensor loss = loss_of(model, batch);
      optimizer.zero_grad();
      loss.backward();
      optim::clip_grad_norm(model.parameters(), 1);
      optimizer.step();
    }
    const NoGrad guard;
    fmt::print("epoch {}  loss on new names {:.3f}\n", epoch, loss_of(model, *test_loader.begin()).item());
    optimizer.set_lr(optimizer.lr() / 2);
  }

  const NoGrad guard;
  Ids letters(std::vector<std::int32_t>(20, tokenizer.boundary()), {20, 1});
  std::vector<std::vector<std::int32_t>> made(20);
  nn::RecurrentResult state;
  for (Index t = 0; t < longest; ++t) {
    Tensor logits;
    std::tie(logits, state) = model(letters, state);
    letters = multinomial(softmax(select(logits, 1, -1) / 0.8), 1);
    for (std::size_t n = 0; n < 20; ++n) made[n].push_back(letters[n]);
  }
  for (const std::vector<std::int32_t>& name : made) {
    fmt::print("{}\n", tokenizer.decode({name.begin(), std::ranges::find(name, tokenizer.boundary())}));
  }
}
