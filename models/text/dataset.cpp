// Both kinds keep one stream of tokens and sequences as places in it. For documents the stream is boundary, document,
// boundary, document, .., boundary: inputs and targets of a document are then the same stream read one step apart.
#include <gradus/models/text/dataset.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include <gradus/models/text/identity.h>

namespace gradus::models {
namespace {

// What errors call the tokens.
const char* unit_of(const AnyTokenizer& tokenizer) {
  return tokenizer.as<CharTokenizer>() != nullptr ? "characters" : "tokens";
}

}  // namespace

Dataset::Dataset(AnyTokenizer tokenizer, const DatasetOptions& options)
    : tokenizer_(std::move(tokenizer)), options_(options), generator_(options.seed), epoch_start_(options.seed) {
  check(options.block_size >= 1, "dataset: block_size is {}, it must be at least 1", options.block_size);
  check(options.held_out >= 0 && options.held_out <= 1,
        "dataset: the held-out fraction is {}, it must be from 0 (train on everything) to 1 (on nothing)",
        options.held_out);
}

void Dataset::make_stream(const std::string& texts, const std::function<void(TokenStream::Tokens&)>& add) {
  const auto tokenize = [&] {
    TokenStream::Tokens tokens;
    add(tokens);
    return tokens;
  };
  if (options_.token_file.empty()) {
    stream_ = TokenStream(tokenize());
  } else {
    stream_ = TokenStream(options_.token_file, texts + " " + fingerprint(tokenizer_.to_json()), tokenize);
  }
}

Index Dataset::tokens(Part part) const {
  Index count = 0;
  for (const Piece& piece : pieces(part)) count += piece.length;
  return count;
}

Index Dataset::add_pieces(Part part, Index begin, Index targets) {
  const Index count = (targets + options_.block_size - 1) / options_.block_size;
  for (Index i = 0; i < count; ++i) {
    const Index from = targets * i / count, to = targets * (i + 1) / count;
    (part == Part::train ? train_ : held_out_).push_back({begin + from, to - from});
  }
  return count;
}

void Dataset::append(const Piece& piece, Batch& batch) const {
  const auto begin = stream_.tokens().begin() + piece.begin;
  batch.tokens.insert(batch.tokens.end(), begin, begin + piece.length);
  batch.targets.insert(batch.targets.end(), begin + 1, begin + 1 + piece.length);
  batch.lengths.push_back(piece.length);
}

void Dataset::start_epoch() {
  epoch_start_ = generator_;
  const Index count = begin_epoch(generator_);
  check(count > 0, "dataset: everything is held out, so there is nothing to train on; hold out less");
  order_ = generator_.permutation(count);
  position_ = 0;
  ++epoch_;
}

Dataset::Piece Dataset::next_piece() {
  if (std::cmp_equal(position_, order_.size())) start_epoch();
  return training_piece(order_[static_cast<std::size_t>(position_++)]);
}

void Dataset::next(Index count, Batch& batch) {
  check(count >= 1, "dataset: a batch of {} sequences was asked for; it must have at least 1", count);
  batch.clear();
  for (Index i = 0; i < count; ++i) append(next_piece(), batch);
}

Index Dataset::skip(Index count) {
  check(count >= 1, "dataset: a batch of {} sequences was to be skipped; it must have at least 1", count);
  Index tokens = 0;
  for (Index i = 0; i < count; ++i) tokens += next_piece().length;
  return tokens;
}

Index Dataset::read(Part part, Index first, Index max_tokens, Batch& batch) const {
  check(first >= 0 && first <= size(part), "dataset: there is no sequence {} among {}", first, size(part));
  batch.clear();
  for (; first < size(part); ++first) {
    const Piece& piece = pieces(part)[static_cast<std::size_t>(first)];
    if (!batch.lengths.empty() &&
        std::cmp_greater(piece.length, max_tokens - static_cast<Index>(batch.tokens.size()))) {
      break;
    }
    append(piece, batch);
  }
  return first;
}

void Dataset::append(Part part, Index i, Batch& batch) const {
  check(i >= 0 && i < size(part), "dataset: there is no sequence {} among {}", i, size(part));
  append(pieces(part)[static_cast<std::size_t>(i)], batch);
}

DatasetState Dataset::state() const {
  return {(epoch_ == 0 ? generator_ : epoch_start_).state(), epoch_, position_};
}

void Dataset::set_state(const DatasetState& state) {
  check(state.epoch >= 0 && state.position >= 0, "dataset: epoch {}, position {} in a saved state; the file is damaged",
        state.epoch, state.position);
  generator_.set_state(state.generator);
  order_.clear();
  position_ = 0;
  epoch_ = state.epoch;
  if (state.epoch > 0) {
    --epoch_;
    start_epoch();
  }
  check(std::cmp_less_equal(state.position, order_.size()),
        "dataset: the saved state is at sequence {} of an epoch, but an epoch has {}; resume with the data and options "
        "that the run began with",
        state.position, order_.size());
  position_ = state.position;
}

DocumentDataset::DocumentDataset(std::span<const std::string> documents, AnyTokenizer tokenizer,
                                 const DatasetOptions& options, const Progress& progress)
    : Dataset(std::move(tokenizer), options) {
  encode(documents, {}, progress);
  cut(split(find_kinds()));
}

DocumentDataset::DocumentDataset(std::span<const std::string> documents, std::span<const std::string> held_out,
                                 AnyTokenizer tokenizer, const DatasetOptions& options, const Progress& progress)
    : Dataset(std::move(tokenizer), options) {
  check(!held_out.empty(), "dataset: there are no documents to evaluate on; give at least one");
  encode(documents, held_out, progress);
  const std::vector<Index> kind = find_kinds();
  std::vector<Part> part(kind.size(), Part::train);
  for (std::size_t i = documents.size(); i < kind.size(); ++i) {
    part[i] = Part::held_out;
    num_leaked_ += std::cmp_less(kind[i], documents.size()) ? 1 : 0;
  }
  cut(part);
}

void DocumentDataset::encode(std::span<const std::string> documents, std::span<const std::string> held_out,
                             const Progress& progress) {
  check(!documents.empty(), "dataset: there are no documents; give at least one");
  constexpr std::size_t between_reports = 1024;
  const std::int32_t boundary = tokenizer_.boundary();
  TextIdentity identity;
  if (!options_.token_file.empty()) {
    for (const auto part : {documents, held_out}) {
      for (const std::string& document : part) identity.add(document);
    }
  }
  make_stream(identity.text(), [&](TokenStream::Tokens& tokens) {
    tokens.all.push_back(boundary);
    for (const auto part : {documents, held_out}) {
      for (std::size_t i = 0; i < part.size(); ++i) {
        tokenizer_.encode(part[i], fmt::format("document {}", i + 1), tokens.all);
        tokens.all.push_back(boundary);
        if (progress && i % between_reports == 0) {
          progress(static_cast<double>(i) / static_cast<double>(part.size()));
        }
      }
    }
  });
  const auto tokens = stream_.tokens();  // no document has a boundary in it
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] == boundary) begins_.push_back(static_cast<Index>(i) + 1);
  }
}

std::span<const std::int32_t> DocumentDataset::document(Index i) const {
  const auto begin = static_cast<std::size_t>(begins_[static_cast<std::size_t>(i)]);
  const auto end = static_cast<std::size_t>(begins_[static_cast<std::size_t>(i) + 1]) - 1;  // without the boundary
  return stream_.tokens().subspan(begin, end - begin);
}

std::size_t DocumentDataset::place_of(std::span<const std::int32_t> tokens) const {
  const auto* bytes = reinterpret_cast<const char*>(tokens.data());
  std::size_t place = std::hash<std::string_view>()({bytes, tokens.size_bytes()}) % table_.size();
  while (table_[place] >= 0 && !std::ranges::equal(document(table_[place]), tokens)) {
    place = (place + 1) % table_.size();
  }
  return place;
}

std::vector<Index> DocumentDataset::find_kinds() {
  const Index count = num_documents();
  table_.assign(static_cast<std::size_t>(2 * count + 1), -1);
  std::vector<Index> kind(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i) {
    Index& first = table_[place_of(document(i))];
    if (first < 0) {
      first = i;
    } else {
      ++num_copies_;
    }
    kind[static_cast<std::size_t>(i)] = first;
  }
  return kind;
}

std::vector<Part> DocumentDataset::split(const std::vector<Index>& kind) {
  std::vector<Index> chosen_from;  // document numbers: the first of each kind, or all if not distinct
  for (Index i = 0; i < num_documents(); ++i) {
    if (!options_.distinct || kind[static_cast<std::size_t>(i)] == i) chosen_from.push_back(i);
  }
  const auto count = static_cast<Index>(chosen_from.size());
  auto held_out = static_cast<Index>(std::round(static_cast<double>(count) * options_.held_out));
  if (options_.held_out > 0 && options_.held_out < 1) {
    check(num_documents() >= 2,
          "dataset: there is only one document, so none can be held out; give at least two lines, or read the file as "
          "running text");
    check(count >= 2, "dataset: all {} documents are alike, so none can be held out; give at least two different lines",
          num_documents());
    held_out = std::clamp(held_out, Index{1}, count - 1);
  }
  std::vector<Part> part(kind.size(), Part::train);
  const std::vector<Index> order = generator_.permutation(count);
  for (Index i = 0; i < held_out; ++i) {
    part[static_cast<std::size_t>(chosen_from[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])])] =
        Part::held_out;
  }
  if (options_.distinct) {
    for (std::size_t i = 0; i < part.size(); ++i) part[i] = part[static_cast<std::size_t>(kind[i])];
  }
  return part;
}

void DocumentDataset::cut(const std::vector<Part>& part) {
  for (std::size_t i = 0; i < part.size(); ++i) {
    const Index targets = begins_[i + 1] - begins_[i];  // the boundary is the last
    if (add_pieces(part[i], begins_[i] - 1, targets) > 1) ++num_cut_;
    longest_ = std::max(longest_, targets);
  }
}

bool DocumentDataset::contains(const std::string& text) const {
  try {
    return table_[place_of(tokenizer_.encode(text))] >= 0;
  } catch (const Error&) {
    return false;  // it has something that no document has
  }
}

TextDataset::TextDataset(std::string_view text, AnyTokenizer tokenizer, const DatasetOptions& options,
                         const Progress& progress)
    : Dataset(std::move(tokenizer), options) {
  encode(text, {}, progress);
  const auto total = static_cast<Index>(stream_.size());
  train_tokens_ = total - static_cast<Index>(std::round(static_cast<double>(total) * options_.held_out));
  cut();
}

TextDataset::TextDataset(std::string_view text, std::string_view held_out, AnyTokenizer tokenizer,
                         const DatasetOptions& options, const Progress& progress)
    : Dataset(std::move(tokenizer), options) {
  encode(text, held_out, progress);
  train_tokens_ = static_cast<Index>(stream_.second());
  cut();
}

void TextDataset::encode(std::string_view text, std::string_view held_out, const Progress& progress) {
  TextIdentity identity;
  if (!options_.token_file.empty()) {
    identity.add(text);
    identity.add(held_out);
  }
  make_stream(identity.text(), [&](TokenStream::Tokens& tokens) {
    tokens.all.reserve(text.size() + held_out.size());
    tokenizer_.encode(text, "text", tokens.all, progress);
    tokens.second = tokens.all.size();
    tokenizer_.encode(held_out, "held-out text", tokens.all);
  });
}

void TextDataset::cut() {
  const Index held_out_tokens = static_cast<Index>(stream_.size()) - train_tokens_;
  const Index window = options_.block_size + 1;
  if (train_tokens_ > 0 || options_.held_out < 1) {
    check(train_tokens_ >= window,
          "dataset: the part of the text to train on has {} {}, one window needs {}; give a longer text or a "
          "smaller context",
          train_tokens_, unit_of(tokenizer_), window);
    add_pieces(Part::train, 0, train_tokens_ - 1);
  }
  if (held_out_tokens > 0 || options_.held_out > 0) {
    check(held_out_tokens >= 2,
          "dataset: the held-out part of the text has {} {}, it needs at least 2; give a "
          "longer text or hold out more",
          held_out_tokens, unit_of(tokenizer_));
    add_pieces(Part::held_out, train_tokens_, held_out_tokens - 1);
  }
}

Index TextDataset::begin_epoch(Generator& generator) {
  const Index block = options_.block_size;
  if (train_tokens_ <= block) return 0;
  offset_ = generator.below(std::min(block, train_tokens_ - block));
  return (train_tokens_ - 1 - offset_) / block;
}

}  // namespace gradus::models
