// Both kinds keep one stream of tokens and sequences as places in it. For documents the stream is boundary, document,
// boundary, document, .., boundary: inputs and targets of a document are then the same stream read one step apart.
#include <gradus/models/dataset.h>

#include <algorithm>
#include <cmath>

namespace gradus::models {

Dataset::Dataset(CharTokenizer tokenizer, const DatasetOptions& options)
    : tokenizer_(std::move(tokenizer)), options_(options), generator_(options.seed), epoch_start_(options.seed) {
  check(options.block_size >= 1, "dataset: block_size is {}, it must be at least 1", options.block_size);
  check(options.held_out >= 0 && options.held_out <= 1,
        "dataset: the held-out fraction is {}, it must be from 0 (train on everything) to 1 (on nothing)",
        options.held_out);
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
  const auto begin = stream_.begin() + piece.begin;
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

void Dataset::next(Index count, Batch& batch) {
  check(count >= 1, "dataset: a batch of {} sequences was asked for; it must have at least 1", count);
  batch.clear();
  for (Index i = 0; i < count; ++i) {
    if (std::cmp_equal(position_, order_.size())) start_epoch();
    append(training_piece(order_[static_cast<std::size_t>(position_++)]), batch);
  }
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

DocumentDataset::DocumentDataset(std::span<const std::string> documents, CharTokenizer tokenizer,
                                 const DatasetOptions& options)
    : Dataset(std::move(tokenizer), options), num_documents_(static_cast<Index>(documents.size())) {
  check(num_documents_ > 0, "dataset: there are no documents; give at least one");
  const double wanted = std::round(static_cast<double>(num_documents_) * options_.held_out);
  Index held_out = static_cast<Index>(wanted);
  if (options_.held_out > 0 && options_.held_out < 1) {
    check(num_documents_ >= 2,
          "dataset: there is only one document, so none can be held out; give at least two lines, or read the file as "
          "running text");
    held_out = std::clamp(held_out, Index{1}, num_documents_ - 1);
  }

  std::vector<Part> part(documents.size(), Part::train);
  const std::vector<Index> order = generator_.permutation(num_documents_);
  for (Index i = 0; i < held_out; ++i) {
    part[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = Part::held_out;
  }

  const std::int32_t boundary = tokenizer_.boundary();
  stream_.push_back(boundary);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const auto begin = static_cast<Index>(stream_.size()) - 1;
    const std::vector<std::int32_t> tokens = tokenizer_.encode(documents[i], fmt::format("document {}", i + 1));
    stream_.insert(stream_.end(), tokens.begin(), tokens.end());
    stream_.push_back(boundary);
    const auto targets = static_cast<Index>(tokens.size()) + 1;
    if (add_pieces(part[i], begin, targets) > 1) ++num_cut_;
    longest_ = std::max(longest_, targets);
    known_.insert(documents[i]);
  }
}

TextDataset::TextDataset(std::string_view text, CharTokenizer tokenizer, const DatasetOptions& options)
    : Dataset(std::move(tokenizer), options) {
  stream_ = tokenizer_.encode(text);
  const auto total = static_cast<Index>(stream_.size());
  train_tokens_ = total - static_cast<Index>(std::round(static_cast<double>(total) * options_.held_out));
  const Index held_out_tokens = total - train_tokens_;
  const Index window = options_.block_size + 1;
  if (options_.held_out < 1) {
    check(train_tokens_ >= window,
          "dataset: the part of the text to train on has {} characters, one window needs {}; give a longer text or a "
          "smaller context",
          train_tokens_, window);
    add_pieces(Part::train, 0, train_tokens_ - 1);
  }
  if (options_.held_out > 0) {
    check(held_out_tokens >= 2,
          "dataset: the held-out part of the text has {} characters, it needs at least 2; give a "
          "longer text or hold out more",
          held_out_tokens);
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
