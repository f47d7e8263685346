// A complete GPT in one file: text, tokenizer, embedding, attention, feed-forward, training loop, sampling. It follows
// Andrej Karpathy's microgpt.py (243 lines of Python), with gradus in the place of scalar numbers. Read it from top to
// bottom; nothing is hidden but the arithmetic. Every gradient comes from one call: loss.backward().
//
//   build/bin/microgpt [text file, one document a line] [steps]
#include <fmt/format.h>
#include <gradus/gradus.h>
#include <gradus_embedded/names.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using gradus::Index;
using gradus::Tensor;
namespace nn = gradus::nn;
namespace optim = gradus::optim;
using Token = std::int32_t;

// ---------------------------------------------------------------------------------------------------------------------
// 1. The data: a list of documents. Here each line of a file is one, and each is a name.

std::vector<std::string> read_documents(std::istream& text) {
  std::vector<std::string> documents;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) documents.push_back(line);
  }
  gradus::check(!documents.empty(), "microgpt: no documents; call it as microgpt FILE STEPS, a line a document");
  return documents;
}

// ---------------------------------------------------------------------------------------------------------------------
// 2. The tokenizer: characters become numbers, because a network computes with numbers. Each different character gets
// the next one, and one more number, BOS, marks where a document begins and where it ends.

struct Tokenizer {
  std::string characters;  // characters[i] is what token i stands for (a byte each: ASCII text)
  std::map<char, Token> ids;

  explicit Tokenizer(const std::vector<std::string>& documents) {
    for (const std::string& document : documents) {
      for (const char c : document) ids[c];  // a map keeps its keys sorted
    }
    for (auto& [c, id] : ids) {
      id = static_cast<Token>(characters.size());
      characters += c;
    }
  }
  Token bos() const { return static_cast<Token>(characters.size()); }
  Index vocabulary() const { return bos() + 1; }

  // "ann" -> BOS a n n BOS
  std::vector<Token> encode(const std::string& document) const {
    std::vector<Token> tokens{bos()};
    for (const char c : document) tokens.push_back(ids.at(c));
    tokens.push_back(bos());
    return tokens;
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// 3. The model: from the tokens so far to a score for each token that could come next.
// Sizes: T tokens in the document, C numbers for each (the width), H heads of D = C / H numbers, V tokens in all.

constexpr Index C = 16, H = 4, D = C / H;
constexpr Index context = 16;  // the most tokens the model looks at
constexpr Index layers = 1;

// Every matrix starts as small random numbers; training will turn them into something useful.
nn::Linear matrix(Index in, Index out) {
  nn::Linear linear(in, out, {.bias = false});
  nn::init::normal_(linear.weight, 0, 0.08);
  return linear;
}

// 3a. Attention: the only place where tokens look at each other. Each token asks a question (query), offers a key and
// carries a value; where query and key agree, it takes over more of that value. It does so H times side by side.
struct Attention : nn::Module {
  nn::Linear wq = matrix(C, C), wk = matrix(C, C), wv = matrix(C, C), wo = matrix(C, C);

  static Tensor split_heads(const Tensor& x) {                // (T, C)
    return permute(x.reshape({x.size(0), H, D}), {1, 0, 2});  // (H, T, D)
  }

  Tensor operator()(const Tensor& x) const {  // (T, C)
    const Index T = x.size(0);
    const Tensor q = split_heads(wq(x)), k = split_heads(wk(x)), v = split_heads(wv(x));
    // How well each query fits each key. The future is masked: -inf becomes a weight of 0.
    const Tensor mask = tril(gradus::ones({T, T}));
    Tensor att = matmul(q, k.transpose()) / std::sqrt(double(D));  // (H, T, T)
    att = masked_fill(att, mask == 0, -INFINITY).softmax();
    const Tensor mixed = matmul(att, v);                   // (H, T, D)
    return wo(permute(mixed, {1, 0, 2}).reshape({T, C}));  // (T, C)
  }  // nn::CausalSelfAttention does the same in one pass and stores no T x T table

  void members(nn::Visitor& visit) const override {
    visit("wq", wq);
    visit("wk", wk);
    visit("wv", wv);
    visit("wo", wo);
  }
};

// 3b. Feed-forward: each token by itself thinks over what it has gathered.
struct FeedForward : nn::Module {
  nn::Linear fc1 = matrix(C, 4 * C), fc2 = matrix(4 * C, C);

  Tensor operator()(const Tensor& x) const { return fc2(fc1(x).relu()); }  // (T, C)

  void members(nn::Visitor& visit) const override {
    visit("fc1", fc1);
    visit("fc2", fc2);
  }
};

// 3c. A block: both, each added to what was there before, so that information and gradients have a straight way
// through. rms_norm keeps the numbers at a steady size.
struct Block : nn::Module {
  Attention attention;
  FeedForward feed_forward;

  Tensor operator()(const Tensor& x) const {  // (T, C)
    const Tensor y = x + attention(rms_norm(x));
    return y + feed_forward(rms_norm(y));
  }

  void members(nn::Visitor& visit) const override {
    visit("attention", attention);
    visit("feed_forward", feed_forward);
  }
};

// 3d. The GPT: a token's own vector plus one for its place, through the blocks, to a score for every token.
struct GPT : nn::Module {
  nn::Embedding wte, wpe;
  std::vector<Block> blocks{layers};
  nn::Linear lm_head;

  explicit GPT(Index V) : wte(V, C), wpe(context, C), lm_head(matrix(C, V)) {
    nn::init::normal_(wte.weight, 0, 0.08);
    nn::init::normal_(wpe.weight, 0, 0.08);
  }

  Tensor operator()(std::span<const Token> tokens) const {  // T tokens
    std::vector<Token> places(tokens.size());
    for (std::size_t t = 0; t < places.size(); ++t) places[t] = static_cast<Token>(t);
    Tensor x = rms_norm(wte(tokens) + wpe(places));  // (T, C)
    for (const Block& block : blocks) x = block(x);
    return lm_head(x);  // (T, V)
  }

  void members(nn::Visitor& visit) const override {
    visit("wte", wte);
    visit("wpe", wpe);
    visit("blocks", blocks);
    visit("lm_head", lm_head);
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// 4. Sampling: begin with BOS and let the model choose, again and again, until it says BOS. A temperature below 1 makes
// likely choices likelier.

std::string sample(const GPT& model, const Tokenizer& tokenizer, double temperature, gradus::Generator& generator) {
  const gradus::NoGrad no_gradients_needed;
  std::string text;
  for (std::vector<Token> tokens{tokenizer.bos()}; static_cast<Index>(tokens.size()) <= context;) {
    const Tensor logits =
        slice(model(tokens), 0, static_cast<Index>(tokens.size()) - 1, static_cast<Index>(tokens.size()));
    const std::vector<double> probability = (logits / temperature).softmax().to_vector();
    double ticket = generator.uniform<double>();
    Token next = 0;
    while (next < tokenizer.bos() && (ticket -= probability[static_cast<std::size_t>(next)]) >= 0) ++next;
    if (next == tokenizer.bos()) break;
    text += tokenizer.characters[static_cast<std::size_t>(next)];
    tokens.push_back(next);
  }
  return text;
}

// ---------------------------------------------------------------------------------------------------------------------
// 5. Training: show a document, measure how surprised the model is by each next token (the loss), ask for the gradient
// of that surprise with respect to every parameter, and let Adam move each parameter a little downhill.

void train(const std::vector<std::string>& documents, Index steps) {
  gradus::manual_seed(42);
  gradus::Generator generator(42);
  const std::vector<Index> order = generator.permutation(static_cast<Index>(documents.size()));
  const Tokenizer tokenizer(documents);
  GPT model(tokenizer.vocabulary());
  fmt::print("documents {}, vocabulary {}, parameters {}\n", documents.size(), tokenizer.vocabulary(),
             model.num_parameters());

  optim::Adam adam(model.parameters(), {.lr = 0.01, .betas = {0.85, 0.99}});
  const auto start = std::chrono::steady_clock::now();
  double smooth = 0;
  for (Index step = 0; step < steps; ++step) {
    const auto pick = static_cast<std::size_t>(order[static_cast<std::size_t>(step) % order.size()]);
    const std::vector<Token> tokens = tokenizer.encode(documents[pick]);
    const std::size_t T = std::min<std::size_t>(context, tokens.size() - 1);
    const std::span all(tokens);

    const Tensor logits = model(all.first(T));                     // (T, V): after each token, a score for the next
    const Tensor loss = cross_entropy(logits, all.subspan(1, T));  // how unlikely were those that came?
    adam.zero_grad();
    loss.backward();  // all gradients
    adam.set_lr(0.01 * (1 - double(step) / double(steps)));
    adam.step();

    smooth = step == 0 ? loss.item() : 0.98 * smooth + 0.02 * loss.item();
    if ((step + 1) % 100 == 0) fmt::print("step {:5} / {}   loss {:.4f}\n", step + 1, steps, smooth);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("trained in {:.2f} s\n\n", seconds.count());
  for (int i = 1; i <= 20; ++i) fmt::print("sample {:2}: {}\n", i, sample(model, tokenizer, 0.5, generator));
}

int main(int argc, char** argv) try {
  std::istringstream bundled{std::string(gradus::embedded::names)};
  std::ifstream file;
  if (argc > 1) file.open(argv[1]);
  const std::string count = argc > 2 ? argv[2] : "1000";
  Index steps = 0;
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), steps);
  gradus::check(error == std::errc{} && *end == '\0' && steps > 0, "microgpt: '{}' is not a number of steps", count);
  train(argc > 1 ? read_documents(file) : read_documents(bundled), steps);
} catch (const std::exception& error) {
  std::fputs(fmt::format("{}\n", error.what()).c_str(), stderr);
  return 1;
}
