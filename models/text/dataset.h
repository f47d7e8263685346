// Training text as batches of packed token sequences: lines that are documents of their own, or one running text. An
// epoch shows every document, or every window that a running text is cut into, once and in a new random order. A part
// is held out for evaluation and never trained on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/core/runtime/random.h>
#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/text/token_stream.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Sequences one after another, lengths[i] tokens in the i-th; targets[k] is what should follow tokens[k].
struct Batch {
  std::vector<std::int32_t> tokens, targets;
  std::vector<Index> lengths;

  void clear() { tokens.clear(), targets.clear(), lengths.clear(); }
};

/// What a dataset is split into.
enum class Part { train, held_out };

/// How a text is cut and split.
struct DatasetOptions {
  Index block_size = 64;    // the model's: no sequence is longer
  double held_out = 0.1;    // fraction kept for evaluation; 0 trains on everything, 1 on nothing
  std::uint64_t seed = 42;  // of the order in which training sees the data, and of what is held out from documents
  // true: documents that are alike go to the same part. false: each is assigned by itself, so that a held-out document
  // may also be trained on; only to resume older runs.
  bool distinct = true;
  // Where the tokens of a long text are kept for later runs; empty: nowhere. See TokenStream.
  std::filesystem::path token_file = {};
};

/// The position of a dataset, so that another one, made from the same text with the same options, can continue there.
struct DatasetState {
  std::string generator;  // as it was when the epoch began
  Index epoch = 0;        // counted from 1; 0 before the first batch
  Index position = 0;     // sequences already seen in this epoch
};

/// Sequences to train on and sequences to evaluate on, cut from one text. Training sees each sequence once per epoch. A
/// TextDataset cuts new windows each epoch; size(), tokens() and read() describe another, fixed cut.
class Dataset {
 public:
  virtual ~Dataset() = default;

  const AnyTokenizer& tokenizer() const { return tokenizer_; }
  const DatasetOptions& options() const { return options_; }
  /// How many sequences and how many targets a part has.
  Index size(Part part) const { return static_cast<Index>(pieces(part).size()); }
  Index tokens(Part part) const;

  /// The next `count` training sequences, in the place of what `batch` held. At the end of an epoch it continues with
  /// the next one. Throws Error when nothing is there to train on.
  void next(Index count, Batch& batch);
  /// Goes on as next(count, ..) does without reading the sequences, which another process trains on. Returns how many
  /// tokens they have.
  Index skip(Index count);
  Index epoch() const { return epoch_; }

  /// A part in its own order, for evaluation: sequences `first` and on, as many as fit `max_tokens` and at least one.
  /// Returns the first that did not fit, which is size(part) at the end.
  Index read(Part part, Index first, Index max_tokens, Batch& batch) const;
  /// Appends sequence i of a part to a batch.
  void append(Part part, Index i, Batch& batch) const;
  /// All tokens, and where they came from.
  const TokenStream& stream() const { return stream_; }
  /// The number of tokens of sequence i.
  Index length(Part part, Index i) const { return pieces(part)[static_cast<std::size_t>(i)].length; }

  DatasetState state() const;
  /// Throws Error for a state that this dataset cannot be in.
  void set_state(const DatasetState& state);

 protected:
  // A sequence in the token stream; its targets are the same tokens shifted by one.
  struct Piece {
    Index begin, length;
  };

  Dataset(AnyTokenizer tokenizer, const DatasetOptions& options);
  // The tokens that `add` appends, or those kept of the same texts. `texts`: a name for them.
  void make_stream(const std::string& texts, const std::function<void(TokenStream::Tokens&)>& add);
  // Cuts the `targets` targets after stream_[begin] into the fewest pieces of at most block_size, adds them to a part
  // and returns their number.
  Index add_pieces(Part part, Index begin, Index targets);
  // How many sequences the epoch that now begins has, and which is the i-th of them.
  virtual Index begin_epoch(Generator& generator) = 0;
  virtual Piece training_piece(Index i) const = 0;
  const std::vector<Piece>& pieces(Part part) const { return part == Part::train ? train_ : held_out_; }

  AnyTokenizer tokenizer_;
  DatasetOptions options_;
  Generator generator_;
  TokenStream stream_;  // all tokens

 private:
  void append(const Piece& piece, Batch& batch) const;
  void start_epoch();
  Piece next_piece();

  std::vector<Piece> train_, held_out_;
  std::vector<Index> order_;
  Index epoch_ = 0, position_ = 0;
  Generator epoch_start_;
};

/// A sequence for each document: its tokens begin with the boundary token, and its last target is the boundary token. A
/// random fraction of the distinct documents is held out, or a list of its own is. A document that with its end is
/// longer than block_size is cut into sequences of nearly equal length: every token is still learned, but tokens behind
/// a cut do not see those before it.
class DocumentDataset : public Dataset {
 public:
  /// Throws Error for a tokenizer without a boundary, a text that it has no tokens for, and, if
  /// 0 < held_out < 1, for fewer than two documents (two different ones with options.distinct).
  DocumentDataset(std::span<const std::string> documents, AnyTokenizer tokenizer, const DatasetOptions& options = {},
                  const Progress& progress = {});
  /// Trains on all of `documents` and holds out all of `held_out`; options.held_out does not count.
  DocumentDataset(std::span<const std::string> documents, std::span<const std::string> held_out, AnyTokenizer tokenizer,
                  const DatasetOptions& options = {}, const Progress& progress = {});

  /// Those held out included.
  Index num_documents() const { return static_cast<Index>(begins_.size()) - 1; }
  /// How many of them equal an earlier one.
  Index num_copies() const { return num_copies_; }
  /// How many of the held-out documents are also trained on, if they were given as a list of their own; else 0, since
  /// options.distinct keeps copies on one side.
  Index num_leaked() const { return num_leaked_; }
  /// How many documents were cut, and the length of the longest, both with their end counted.
  Index num_cut() const { return num_cut_; }
  Index longest() const { return longest_; }
  /// Whether a text is one of the documents.
  bool contains(const std::string& text) const;

 private:
  void encode(std::span<const std::string> documents, std::span<const std::string> held_out, const Progress& progress);
  // For each document the index of its first copy, which may be itself.
  std::vector<Index> find_kinds();
  std::vector<Part> split(const std::vector<Index>& kind);
  void cut(const std::vector<Part>& part);
  std::span<const std::int32_t> document(Index i) const;
  std::size_t place_of(std::span<const std::int32_t> tokens) const;
  Index begin_epoch(Generator&) override { return size(Part::train); }
  Piece training_piece(Index i) const override { return pieces(Part::train)[static_cast<std::size_t>(i)]; }

  std::vector<Index> begins_;  // where the documents' tokens begin in the stream, and one more behind the last
  std::vector<Index> table_;   // hash table of documents; -1: free
  Index num_copies_ = 0, num_leaked_ = 0, num_cut_ = 0, longest_ = 0;
};

/// Training windows have exactly block_size tokens, lie side by side and start at a random offset in each epoch, so an
/// epoch may miss some tokens at both ends. The last fraction of the text is held out, or a text of its own is.
/// Evaluation windows cover each target once and have nearly equal lengths of at most block_size.
class TextDataset : public Dataset {
 public:
  /// Throws Error for a text that the tokenizer has no tokens for, and when a part is too short.
  TextDataset(std::string_view text, AnyTokenizer tokenizer, const DatasetOptions& options = {},
              const Progress& progress = {});
  /// Trains on all of `text` and holds out all of `held_out`. options.held_out splits nothing here: 1 allows an
  /// empty `text`, 0 an empty `held_out`.
  TextDataset(std::string_view text, std::string_view held_out, AnyTokenizer tokenizer,
              const DatasetOptions& options = {}, const Progress& progress = {});

  /// Those held out included.
  Index num_tokens() const { return static_cast<Index>(stream_.size()); }
  /// The same, for a CharTokenizer.
  Index num_characters() const { return num_tokens(); }

 private:
  void encode(std::string_view text, std::string_view held_out, const Progress& progress);
  void cut();
  Index begin_epoch(Generator& generator) override;
  Piece training_piece(Index i) const override { return {offset_ + i * options_.block_size, options_.block_size}; }

  Index train_tokens_ = 0, offset_ = 0;
};

#pragma GCC visibility pop
}  // namespace gradus::models
