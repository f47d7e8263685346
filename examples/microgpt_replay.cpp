// Replays Andrej Karpathy's microgpt.py (a GPT in 243 lines of Python, a scalar at a time) on gradus' tensors and
// modules, in f64 and with Python's random numbers: the losses are Python's but for the last digits, the invented names
// are the same.
//
//   build/bin/microgpt_replay --data names.txt --losses losses.txt
//
// The rules that both follow: random.seed; the documents shuffled; a token for each character and one that begins and
// ends a document; every matrix N(0, 0.08) in the order of set_weights(); one document a step; Adam, whose rate falls
// to 0 in a straight line; samples at temperature 0.5. The one liberty: text is brought into Unicode's composed form.
#include <fmt/format.h>
#include <gradus/gradus.h>
#include <gradus/models/text/text.h>
#include <gradus/nn/files/atomic_file.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "python_random.h"

namespace {

namespace models = gradus::models;
using gradus::Index;
using gradus::Tensor;
using Token = std::int32_t;

struct Arguments {
  std::string data, losses;  // losses: empty for no file
  std::uint64_t seed = 42;
  Index layers = 1, width = 16, heads = 4, context = 16, steps = 1000;
};

models::GPTConfig model_config(const Arguments& arguments, Index vocab_size) {
  models::GPTConfig config = models::GPTConfig::microgpt(vocab_size);
  config.n_layer = arguments.layers;
  config.n_embd = arguments.width;
  config.n_head = arguments.heads;
  config.block_size = arguments.context;
  return config;
}

void set_weights(const models::GPT& model, python::Random& random) {
  const auto draw = [&](const Tensor& matrix) {
    for (double& x : matrix.data<double>()) x = random.gauss(0, 0.08);
  };
  draw(model.wte.weight);
  draw(model.wpe.weight);
  draw(model.lm_head.weight);
  for (const models::Block& block : model.h) {
    draw(block.attn.c_attn.weight);  // Python's wq, wk and wv, one below the other
    draw(block.attn.c_proj.weight);
    draw(block.mlp.c_fc.weight);
    draw(block.mlp.c_proj.weight);
  }
}

// Logits (T, V) for one document of T tokens.
Tensor logits_of(const models::GPT& model, std::span<const Token> tokens) {
  const std::array lengths{static_cast<Index>(tokens.size())};
  return model(tokens, lengths);
}

std::string sample(const models::GPT& model, const models::CharTokenizer& tokenizer, python::Random& random) {
  constexpr double temperature = 0.5;
  const gradus::NoGrad no_gradients_needed;
  std::vector<Token> tokens{tokenizer.boundary()};
  while (static_cast<Index>(tokens.size()) <= model.config().block_size) {
    const auto T = static_cast<Index>(tokens.size());
    const Tensor last = slice(logits_of(model, tokens), 0, T - 1, T);  // (1, V)
    const std::vector<double> probabilities = softmax(last / temperature).to_vector();
    const auto next = static_cast<Token>(random.choice(probabilities));
    if (next == tokenizer.boundary()) break;
    tokens.push_back(next);
  }
  return tokenizer.decode(std::span(tokens).subspan(1));
}

void replay(const Arguments& arguments) {
  std::vector<std::string> documents = models::read_documents(arguments.data);
  std::optional<gradus::AtomicFile> losses;  // opened before the first step, so that nobody trains in vain
  if (!arguments.losses.empty()) {
    std::error_code none;  // one of the two does not exist: they differ
    gradus::check(!std::filesystem::equivalent(arguments.data, arguments.losses, none),
                  "--losses and --data are the same file '{}'; choose another for the losses", arguments.losses);
    losses.emplace(arguments.losses);
  }

  python::Random random(arguments.seed);
  random.shuffle(documents);
  const auto tokenizer = models::CharTokenizer::from_documents(documents);
  models::GPT model(model_config(arguments, tokenizer.vocab_size()));
  model.to(gradus::DType::f64);
  set_weights(model, random);
  fmt::print("documents {}, vocabulary {}, parameters {}\n", documents.size(), tokenizer.vocab_size(),
             model.num_parameters());

  constexpr double lr = 0.01;
  gradus::optim::Adam adam(model.parameters(), {.lr = lr, .betas = {0.85, 0.99}, .eps = 1e-8});
  const Index steps = arguments.steps, lines = std::max<Index>(steps / 10, 1);
  const auto start = std::chrono::steady_clock::now();
  std::vector<Token> tokens;
  for (Index step = 0; step < steps; ++step) {
    const std::string& document = documents[static_cast<std::size_t>(step) % documents.size()];
    tokens = tokenizer.encode(document);
    tokens.insert(tokens.begin(), tokenizer.boundary());
    tokens.push_back(tokenizer.boundary());
    // What does not fit the context is left out.
    const std::size_t T = std::min(static_cast<std::size_t>(arguments.context), tokens.size() - 1);

    const Tensor logits = logits_of(model, std::span(tokens).first(T));  // (T, V)
    const Tensor loss = cross_entropy(logits, std::span(tokens).subspan(1, T));
    adam.zero_grad();
    loss.backward();
    adam.set_lr(lr * (1 - static_cast<double>(step) / static_cast<double>(steps)));
    adam.step();

    if (losses) losses->write(fmt::format("{} {}\n", step + 1, loss.item()));
    if ((step + 1) % lines == 0) fmt::print("step {:5} / {}   loss {:.4f}\n", step + 1, steps, loss.item());
  }
  if (losses) losses->commit();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("{} steps in {:.3f} s\n", steps, seconds.count());
  for (int i = 1; i <= 20; ++i) fmt::print("sample {:2}: {}\n", i, sample(model, tokenizer, random));
}

// CLI11 takes a number above 2^64 as 2^64 - 1.
std::string check_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error == std::errc{} && end == text.data() + text.size()) return {};
  return fmt::format("{} is not a whole number from 0 to 2^64 - 1; for Python a seed and its negative are the same",
                     text);
}

// CLI11 would read "010" as eight.
std::string read_decimal(std::string& text) {
  const std::size_t zeros = std::min(text.find_first_not_of('0'), text.size());
  text.erase(0, std::min(zeros, text.empty() ? 0 : text.size() - 1));
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  return digits && !text.empty() ? "" : "'" + text + "' is not a whole number in digits";
}

int report(std::string message, int status) {
  std::ranges::replace(message, '\n', ' ');
  std::fflush(stdout);
  fmt::print(stderr, "microgpt_replay: {}\n", message);
  return status;
}

}  // namespace

// Exit status 1 for what went wrong, 2 when the command line itself makes no sense.
int main(int argc, char** argv) {
  CLI::App app("Replays Karpathy's microgpt.py: the same losses and the same names, in f64.", "microgpt_replay");
  Arguments arguments;
  app.add_option("--data", arguments.data, "UTF-8 text, one name a line")->required()->type_name("FILE");
  app.add_option("--losses", arguments.losses, "Write a line \"step loss\" a step, all digits")->type_name("FILE");
  const auto number = [&app](const char* name, auto& value, const char* help, const CLI::Validator& range) {
    CLI::Option* const option = app.add_option(name, value, help)->check(range)->type_name("N")->capture_default_str();
    option->transform(CLI::Validator(read_decimal, ""));
  };
  const CLI::Validator positive = CLI::Range(1, 1'000'000'000).description("");
  number("--seed", arguments.seed, "What random.seed is given", CLI::Validator(check_seed, ""));
  number("--layers", arguments.layers, "n_layer", positive);
  number("--width", arguments.width, "n_embd, a multiple of --heads", positive);
  number("--heads", arguments.heads, "n_head", positive);
  number("--context", arguments.context, "block_size", positive);
  number("--steps", arguments.steps, "num_steps", positive);
  try {
    app.parse(argc, argv);
    replay(arguments);
    if (std::fflush(stdout) != 0) return report("cannot write the output; is the disk full?", 1);
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return report(fmt::format("{} (see microgpt_replay --help)", error.what()), 2);
  } catch (const std::bad_alloc&) {
    return report("there is not enough memory; use a smaller model or context", 1);
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
}
