// DataLoader: examples in memory, handed out in batches, in a new order for each epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include <gradus/core/runtime/random.h>
#include <gradus/core/tensor.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// A batch: some rows of the examples.
struct Batch {
  std::vector<Tensor> tensors;       // the chosen rows of each tensor, (rows, ..)
  std::vector<std::int32_t> labels;  // and of the labels, if there are any
  std::vector<Index> rows;           // which rows these are

  Index size() const { return static_cast<Index>(rows.size()); }
  const Tensor& operator[](std::size_t i) const { return tensors.at(i); }
};

struct DataLoaderOptions {
  Index batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;                  // leave out the last batch where it is smaller
  std::optional<std::uint64_t> seed = {};  // of the order; without one the default generator draws it
};

/// Batches of tensors whose rows belong together (examples and targets: equal first sizes) and of whole-number labels:
///     DataLoader loader({images}, labels, {.batch_size = 32, .shuffle = true});
///     for (const Batch& batch : loader) { .. model(batch[0]) .. batch.labels .. }
/// Every loop is an epoch: it visits each row once, but for those that drop_last leaves out. Batches are copies without
/// history. An iterator points to its loader: keep the loader alive and in place during the loop.
class DataLoader {
 public:
  explicit DataLoader(std::vector<Tensor> tensors, DataLoaderOptions options = {})
      : DataLoader(std::move(tensors), {}, options) {}
  DataLoader(std::vector<Tensor> tensors, std::vector<std::int32_t> labels, DataLoaderOptions options);

  /// Batches in an epoch.
  Index size() const;
  /// A batch of these rows.
  Batch rows(std::vector<Index> rows) const;

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Batch;

    Iterator() = default;
    Batch operator*() const {
      check(loader_ != nullptr, "DataLoader: a default-made iterator has no batch; take the one of begin()");
      return loader_->batch(place_);
    }
    Iterator& operator++() {
      ++place_;
      return *this;
    }
    Iterator operator++(int) { return std::exchange(*this, {loader_, place_ + 1}); }
    bool operator==(const Iterator& other) const = default;

   private:
    friend class DataLoader;
    Iterator(const DataLoader* loader, Index place) : loader_(loader), place_(place) {}
    const DataLoader* loader_ = nullptr;
    Index place_ = 0;
  };
  /// Starts an epoch and draws its order. Iterators of an earlier epoch are no longer valid.
  Iterator begin();
  Iterator end() const { return {this, size()}; }

 private:
  void check_has_examples() const;
  Batch batch(Index place) const;

  std::vector<Tensor> tensors_;
  std::vector<std::int32_t> labels_;
  DataLoaderOptions options_;
  Index count_;
  std::optional<Generator> own_;
  std::vector<Index> order_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
