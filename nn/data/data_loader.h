// DataLoader: examples handed out in batches, in a new order for each epoch; if wanted, made ahead by worker threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gradus/core/runtime/random.h>
#include <gradus/core/tensor.h>
#include <gradus/nn/data/dataset.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// A batch: some rows of the examples.
struct Batch {
  std::vector<Tensor> tensors;                           // the chosen rows of each tensor, (rows, ..)
  std::vector<std::int32_t> labels;                      // ids[0] of each example, if there are ids
  std::vector<Index> rows;                               // the chosen rows
  std::vector<std::vector<std::int32_t>> more_ids = {};  // ids[1], ids[2], .. of each; lists end to end, (rows, n)

  Index size() const { return static_cast<Index>(rows.size()); }
  const Tensor& operator[](std::size_t i) const { return tensors.at(i); }
  const std::vector<std::int32_t>& ids(std::size_t i) const { return i == 0 ? labels : more_ids.at(i - 1); }
};

struct DataLoaderOptions {
  Index batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;                  // leave out the last batch where it is smaller
  std::optional<std::uint64_t> seed = {};  // of the order and the transform; without one the default generator's
  int workers = 0;                         // threads that make batches ahead; 0: the loop makes each one itself
  Index prefetch = 2;                      // how many batches each worker may be ahead
};

namespace detail {
// Makes a batch of any rows; the random numbers of a row depend on `seed` and the row alone.
struct BatchSource {
  Index count = 0;
  bool draws_numbers = false;
  virtual ~BatchSource() = default;
  virtual Batch batch(std::vector<Index> rows, std::uint64_t seed) = 0;
};
// The examples as one batch: tensors stacked, ids one after another. Throws Error where they differ in shape.
Batch stacked(const std::vector<Example>& examples, std::vector<Index> rows);
Generator generator_of(std::uint64_t seed, Index row);
class Prefetcher;

template <class D, class F>
struct DatasetSource final : BatchSource {
  D dataset;
  F transform;

  using Got = decltype(std::declval<std::unwrap_reference_t<D>&>().get(Index{}));
  DatasetSource(D from, F f) : dataset(std::move(from)), transform(std::move(f)) {
    std::unwrap_reference_t<D>& examples = dataset;
    count = static_cast<Index>(examples.size());
    draws_numbers = DrawsNumbers<F, Got>;
  }
  Batch batch(std::vector<Index> rows, std::uint64_t seed) override {
    std::unwrap_reference_t<D>& examples = dataset;
    std::vector<Example> all;
    all.reserve(rows.size());
    for (const Index row : rows) {
      if constexpr (DrawsNumbers<F, Got>) {
        Generator generator = generator_of(seed, row);
        all.push_back(example_of(transform(examples.get(row), generator)));
      } else {
        all.push_back(example_of(transform(examples.get(row))));
      }
    }
    return stacked(all, std::move(rows));
  }
};
}  // namespace detail

/// Batches of tensors whose rows belong together (examples and targets: equal first sizes) and of whole-number labels:
///     DataLoader loader({images}, labels, {.batch_size = 32, .shuffle = true});
///     for (const Batch& batch : loader) { .. model(batch[0]) .. batch.labels .. }
/// or of any dataset (DatasetLike), whose examples are stacked: tensors in their order, (rows, ..), and ids.
/// Every loop is an epoch: it visits each row once, but for those that drop_last leaves out. Batches are copies without
/// history. An iterator points to its loader: keep the loader alive and in place during the loop.
///
/// With workers the batches are the same, bit for bit and in the same order. get() and the transform are then called
/// from several threads at a time, so they must not change what they share. An exception that they throw reaches the
/// loop when it comes to that batch. Workers end with the epoch, with the next begin(), and with the loader. A child
/// that fork() makes in the midst of an epoch must not use the loader.
class DataLoader {
 public:
  explicit DataLoader(std::vector<Tensor> tensors, DataLoaderOptions options = {})
      : DataLoader(std::move(tensors), {}, options) {}
  DataLoader(std::vector<Tensor> tensors, std::vector<std::int32_t> labels, DataLoaderOptions options);

  /// The dataset is moved into the loader; std::ref(dataset) shares one that outlives it.
  template <DatasetLike D>
  explicit DataLoader(D dataset, DataLoaderOptions options = {})
      : DataLoader(std::move(dataset), options, std::identity()) {}
  /// Each example becomes transform(example), or transform(example, generator) where random numbers are wanted: that
  /// Generator depends on the epoch and the row alone, so that every number of workers gives the same bits.
  template <DatasetLike D, class F>
  DataLoader(D dataset, DataLoaderOptions options, F transform)
      : DataLoader(options, std::make_shared<detail::DatasetSource<D, F>>(std::move(dataset), std::move(transform))) {}

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
  DataLoader(DataLoaderOptions options, std::shared_ptr<detail::BatchSource> source);
  void check_has_examples() const;
  Batch batch(Index place) const;

  std::shared_ptr<detail::BatchSource> source_;
  DataLoaderOptions options_;
  Index count_;
  std::optional<Generator> own_;
  std::vector<Index> order_;
  std::uint64_t epoch_seed_ = 0;
  std::shared_ptr<detail::Prefetcher> prefetcher_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
