// All unfinished samples go through the model together, packed one after another: of each what its cache lacks, so
// first the whole prompts and then one token. Without the cache, and after a slide, it is the whole context. Only the
// last row of each meets the head.
#include <gradus/models/generate/generate.h>

#include <algorithm>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/detail/eval_mode.h>
#include <gradus/models/generate/text_stream.h>
#include <gradus/models/text/text.h>

namespace gradus::models {
namespace {

struct Sample {
  Sample(const std::vector<std::int32_t>& prompt, std::uint64_t seed, Index block_size)
      : tokens(prompt),
        prompt_size(prompt.size()),
        begin(prompt.size() - std::min(prompt.size(), static_cast<std::size_t>(block_size))),
        read(begin),
        generator(seed) {}

  std::vector<std::int32_t> tokens;  // prompt and what was drawn
  std::size_t prompt_size;
  std::size_t begin;  // the first token in sight,
  std::size_t read;   // and the first that is not in the cache
  Generator generator;
  Cache cache = {};
  bool done = false;

  void push(std::int32_t token, Index block_size) {
    tokens.push_back(token);
    if (std::cmp_less_equal(tokens.size() - begin, block_size)) return;
    constexpr Index part = 4;
    begin += static_cast<std::size_t>(std::max<Index>(1, block_size / part));
    read = begin;
    cache.clear();
  }
};

// The logits that follow each unfinished sample: (active, V).
Tensor next_logits(const GPT& model, std::span<Sample> samples, bool use_cache) {
  std::vector<std::int32_t> tokens, last_rows;
  std::vector<Index> lengths;
  std::vector<Cache*> caches;
  for (Sample& sample : samples) {
    if (sample.done) continue;
    const std::size_t first = use_cache ? sample.read : sample.begin;
    tokens.insert(tokens.end(), sample.tokens.begin() + static_cast<std::ptrdiff_t>(first), sample.tokens.end());
    lengths.push_back(static_cast<Index>(sample.tokens.size() - first));
    last_rows.push_back(static_cast<std::int32_t>(tokens.size()) - 1);
    caches.push_back(&sample.cache);
    sample.read = sample.tokens.size();
  }
  if (lengths.empty()) return {};
  const Tensor features = use_cache ? model.features(tokens, lengths, caches) : model.features(tokens, lengths);
  return model.head(embedding(features, last_rows));
}

// The tokens that a sample begins with; `given` is the prompt's.
std::vector<std::int32_t> start_of(const Tokenizer& tokenizer, const std::vector<std::int32_t>& given) {
  std::vector<std::int32_t> start;
  if (tokenizer.has_boundary()) {
    start.push_back(tokenizer.boundary());
  } else if (const auto end = tokenizer.end_token(); end && given.empty()) {
    start.push_back(*end);
  } else if (given.empty()) {
    const std::string line_break = tokenizer.fit("\n", Unknown::skip).text;
    start.push_back(line_break.empty() ? 0 : tokenizer.encode(line_break).front());
  }
  start.insert(start.end(), given.begin(), given.end());
  return start;
}

// How many samples are drawn side by side: at most 64, and so few that their caches fit in 1 GiB.
Index group_size(const GPT& model, Index count) {
  constexpr Index most = 64, most_bytes = Index{1} << 30;
  const GPTConfig& config = model.config();
  const Index bytes =
      2 * config.n_layer * config.block_size * config.n_embd * static_cast<Index>(size_of(model.dtype()));
  return std::clamp(most_bytes / bytes, Index{1}, std::min(most, count));
}

// Generates one group of samples. `first`: the index of its first sample among all, which the seeds depend on.
std::vector<std::vector<std::int32_t>> generate_from(std::size_t first, GPT& model,
                                                     std::span<const std::vector<std::int32_t>> prompts,
                                                     const GenerateOptions& options, const OnToken& on_token) {
  options.validate();
  const Index block_size = model.config().block_size;
  std::vector<Sample> samples;
  samples.reserve(prompts.size());
  for (const auto& prompt : prompts) {
    check(!prompt.empty(), "generate: a prompt is empty; begin with at least one token, such as the boundary token");
    samples.emplace_back(prompt, sample_seed(options.seed, first + samples.size()), block_size);
  }

  const detail::EvalMode eval(model);
  const NoGrad no_grad;
  for (Index step = 0; step < options.max_tokens; ++step) {
    const Tensor logits = next_logits(model, samples, options.use_cache);
    if (!logits.defined()) break;
    Index row = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      Sample& sample = samples[i];
      if (sample.done) continue;
      const std::int32_t token = dispatch(logits.dtype(), [&]<class T>() {
        const auto width = static_cast<std::size_t>(logits.size(-1));
        const std::span<const T> all = logits.data<T>();
        return sample_token(all.subspan(static_cast<std::size_t>(row) * width, width), options, sample.generator,
                            std::span(sample.tokens).subspan(sample.begin));
      });
      sample.done = token == options.stop;
      if (!sample.done) sample.push(token, block_size);
      sample.done |= on_token && !on_token({i, token, logits, row});
      ++row;
    }
  }

  std::vector<std::vector<std::int32_t>> results;
  results.reserve(samples.size());
  for (const Sample& sample : samples) {
    results.emplace_back(sample.tokens.begin() + static_cast<std::ptrdiff_t>(sample.prompt_size), sample.tokens.end());
  }
  return results;
}

}  // namespace

std::vector<Likely> Drawn::likeliest(std::size_t count) const {
  return dispatch(logits.dtype(), [&]<class T>() {
    const auto width = static_cast<std::size_t>(logits.size(-1));
    const std::span<const T> all = logits.data<T>();
    return likeliest_tokens(all.subspan(static_cast<std::size_t>(row) * width, width), count, token);
  });
}

std::vector<std::vector<std::int32_t>> generate(GPT& model, std::span<const std::vector<std::int32_t>> prompts,
                                                const GenerateOptions& options, const OnToken& on_token) {
  check(options.stop_text.empty(), "generate: a stop text needs a tokenizer; use the generate() that takes one");
  return generate_from(0, model, prompts, options, on_token);
}

std::vector<std::int32_t> generate(GPT& model, std::span<const std::int32_t> prompt, const GenerateOptions& options) {
  const std::vector<std::int32_t> one(prompt.begin(), prompt.end());
  return generate(model, std::span(&one, 1), options).front();
}

std::vector<std::string> generate(GPT& model, const Tokenizer& tokenizer, std::string_view prompt, Index count,
                                  const GenerateOptions& options, const OnText& on_text, const OnToken& on_token) {
  check(count >= 1, "generate: {} samples were asked for; ask for at least 1", count);
  check(tokenizer.vocab_size() == model.config().vocab_size,
        "generate: the tokenizer has {} tokens, the model {}; use the tokenizer that the model was trained with",
        tokenizer.vocab_size(), model.config().vocab_size);
  const std::vector<std::int32_t> given = tokenizer.encode(tokenizer.normalize(prompt, "prompt"), "prompt");
  const std::vector<std::int32_t> start = start_of(tokenizer, given);
  const std::string stop_text = tokenizer.normalize(options.stop_text, "stop text");
  GenerateOptions by_token = options;
  by_token.stop_text.clear();
  if (!by_token.stop) by_token.stop = tokenizer.end_token();

  std::vector<std::string> texts(static_cast<std::size_t>(count), valid_utf8(tokenizer.decode(given)));
  const auto add = [&](std::size_t i, const std::string& piece) {
    texts[i] += piece;
    if (on_text && !piece.empty()) on_text(i, piece);
  };
  const Index group = group_size(model, count);
  for (Index done = 0; done < count; done += group) {
    const auto first = static_cast<std::size_t>(done);
    const std::vector<std::vector<std::int32_t>> prompts(static_cast<std::size_t>(std::min(group, count - done)),
                                                         start);
    std::vector<TextStream> streams(prompts.size(), TextStream(stop_text));
    for (std::size_t i = 0; on_text && !given.empty() && i < prompts.size(); ++i) on_text(first + i, texts[first + i]);
    generate_from(first, model, prompts, by_token, [&](const Drawn& drawn) {
      TextStream& stream = streams[drawn.sample];
      if (drawn.token != by_token.stop) {
        add(first + drawn.sample, stream.push(tokenizer.decode(std::span(&drawn.token, 1))));
      }
      const bool wanted = !on_token || on_token({first + drawn.sample, drawn.token, drawn.logits, drawn.row});
      return wanted && !stream.stopped();
    });
    for (std::size_t i = 0; i < streams.size(); ++i) add(first + i, streams[i].finish());
  }
  return texts;
}

}  // namespace gradus::models
