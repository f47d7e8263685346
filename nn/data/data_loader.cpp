// An epoch is an order of all rows, cut into pieces; a batch copies its rows. Workers take pieces in their order and
// put the batches into a ring of slots, from which the loop takes them in the same order. One mutex guards all of that;
// no batch is made while it is held.
#include <gradus/nn/data/data_loader.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>

#include <gradus/core/autograd.h>
#include <gradus/core/runtime/platform.h>

namespace gradus::nn {
namespace {

void check_rows_match(const char* name, const std::vector<Tensor>& tensors, const std::vector<std::int32_t>& labels) {
  check(!tensors.empty(), "{}: no tensors came; it needs at least one, (rows, ..)", name);
  const std::vector<std::reference_wrapper<const Tensor>> all(tensors.begin(), tensors.end());
  check_defined(name, gradus::detail::InputList(all));
  for (const Tensor& tensor : tensors) {
    check(tensor.rank() >= 1 && tensor.size(0) == tensors[0].size(0),
          "{}: {} and {} must have the same first size, one row for each example", name, tensors[0].shape(),
          tensor.shape());
  }
  check(labels.empty() || static_cast<Index>(labels.size()) == tensors[0].size(0),
        "{}: {} labels came for {} rows of {}; one per row", name, labels.size(), tensors[0].size(0),
        tensors[0].shape());
}

// The rows of x, (rows, ..).
Tensor picked_rows(const Tensor& x, std::span<const Index> rows) {
  Shape shape = x.shape();
  shape.set(0, static_cast<Index>(rows.size()));
  Tensor picked = Tensor::empty(shape, x.dtype());
  const Index width = x.size(0) == 0 ? 0 : x.numel() / x.size(0);
  dispatch(x.dtype(), [&]<class T>() {
    auto to = picked.data<T>().begin();
    for (const Index row : rows) to = std::copy_n(x.data<T>().begin() + row * width, width, to);
  });
  return picked;
}

struct TensorSource final : detail::BatchSource {
  std::vector<Tensor> tensors;
  std::vector<std::int32_t> labels;

  TensorSource(std::vector<Tensor> x, std::vector<std::int32_t> y) : tensors(std::move(x)), labels(std::move(y)) {
    check_rows_match("DataLoader", tensors, labels);
    count = tensors[0].size(0);
  }
  Batch batch(std::vector<Index> rows, std::uint64_t) override {
    Batch batch;
    for (const Tensor& x : tensors) batch.tensors.push_back(picked_rows(x, rows));
    for (std::size_t i = 0; i < rows.size() && !labels.empty(); ++i) {
      batch.labels.push_back(labels[static_cast<std::size_t>(rows[i])]);
    }
    batch.rows = std::move(rows);
    return batch;
  }
};

Tensor stacked_tensors(const std::vector<Example>& examples, std::size_t k, std::span<const Index> rows) {
  const Tensor& first = examples[0].tensors[k];
  std::vector<Index> sizes{static_cast<Index>(examples.size())};
  sizes.insert(sizes.end(), first.shape().begin(), first.shape().end());
  Tensor all = Tensor::empty(Shape(sizes), first.dtype());
  dispatch(first.dtype(), [&]<class T>() {
    auto to = all.data<T>().begin();
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const Tensor& x = examples[i].tensors[k];
      check(
          x.shape() == first.shape() && x.dtype() == first.dtype(),
          "DataLoader: tensor {} is {} in {} in example {}, but {} in {} in example {}; a batch needs equal shapes and "
          "types: cut, pad or convert them in the transform",
          k, first.shape(), first.dtype(), rows[0], x.shape(), x.dtype(), rows[i]);
      to = std::ranges::copy(x.data<T>(), to).out;
    }
  });
  return all;
}

}  // namespace

TensorDataset::TensorDataset(std::vector<Tensor> tensors, std::vector<std::int32_t> labels)
    : tensors_(std::move(tensors)), labels_(std::move(labels)) {
  check_rows_match("TensorDataset", tensors_, labels_);
  count_ = tensors_[0].size(0);
}

Example TensorDataset::get(Index row) const {
  check(row >= 0 && row < count_, "TensorDataset: there is no row {} among {}", row, count_);
  Example example;
  for (const Tensor& x : tensors_) example.tensors.push_back(detail::row_of(x, row));
  if (!labels_.empty()) example.ids.push_back({labels_[static_cast<std::size_t>(row)]});
  return example;
}

namespace detail {

Tensor row_of(const Tensor& x, Index i) {
  const NoGrad no_grad;
  const Shape shape(std::span(x.shape().begin() + 1, x.shape().end()));
  return picked_rows(x, std::span(&i, 1)).reshape(shape);
}

Generator generator_of(std::uint64_t seed, Index row) {
  std::uint64_t n =
      seed + 0x9e3779b97f4a7c15 * (static_cast<std::uint64_t>(row) + 1);  // Steele et al. 2014: SplitMix64
  n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
  n = (n ^ n >> 27) * 0x94d049bb133111eb;
  return Generator(n ^ n >> 31);
}

Batch stacked(const std::vector<Example>& examples, std::vector<Index> rows) {
  Batch batch;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const Example &first = examples[0], &x = examples[i];
    check(x.tensors.size() == first.tensors.size() && x.ids.size() == first.ids.size(),
          "DataLoader: example {} has {} tensors and {} ids, and example {} has {} and {}; a batch needs equal ones",
          rows[0], first.tensors.size(), first.ids.size(), rows[i], x.tensors.size(), x.ids.size());
    check_defined("DataLoader", gradus::detail::InputList(std::vector<std::reference_wrapper<const Tensor>>(
                                    x.tensors.begin(), x.tensors.end())));
  }
  const std::size_t tensor_count = examples.empty() ? 0 : examples[0].tensors.size();
  const std::size_t ids_count = examples.empty() ? 0 : examples[0].ids.size();
  for (std::size_t k = 0; k < tensor_count; ++k) batch.tensors.push_back(stacked_tensors(examples, k, rows));
  for (std::size_t k = 0; k < ids_count; ++k) {
    std::vector<std::int32_t>& to = k == 0 ? batch.labels : batch.more_ids.emplace_back();
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const std::vector<std::int32_t>& ids = examples[i].ids[k];
      check(ids.size() == examples[0].ids[k].size(),
            "DataLoader: example {} has {} ids and example {} has {}; a batch needs equal lengths: cut or pad them in "
            "the transform",
            rows[0], examples[0].ids[k].size(), rows[i], ids.size());
      to.insert(to.end(), ids.begin(), ids.end());
    }
  }
  batch.rows = std::move(rows);
  return batch;
}

// The threads of one epoch. Batches are numbered by their place in it.
class Prefetcher {
 public:
  using Make = std::function<Batch(Index place)>;

  Prefetcher(Make make, Index count, int workers, Index ahead)
      : make_(std::move(make)), count_(count), slots_(static_cast<std::size_t>(ahead)) {
    try {
      for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      stop();
      fail("DataLoader: cannot start {} threads ({}); use fewer workers", workers, error.what());
    }
  }
  ~Prefetcher() { stop(); }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The batch at `place`, or what making it threw. Batches before it that nobody took are dropped.
  Batch take(Index place) {
    std::unique_lock lock(mutex_);
    if (place < next_) {  // it was taken before
      lock.unlock();
      return make_(place);
    }
    next_ = place;
    begun_ = std::max(begun_, place);
    wanted_.notify_all();
    Slot& slot = slots_[static_cast<std::size_t>(place) % slots_.size()];
    made_.wait(lock, [&] { return slot.place == place; });
    Slot taken = std::exchange(slot, Slot());
    ++next_;
    lock.unlock();
    wanted_.notify_all();
    if (taken.error) std::rethrow_exception(taken.error);
    return std::move(taken.batch);
  }

 private:
  struct Slot {
    Index place = -1;
    Batch batch;
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wanted_.wait(lock,
                   [&] { return stop_ || begun_ >= count_ || begun_ - next_ < static_cast<Index>(slots_.size()); });
      if (stop_ || begun_ >= count_) return;
      Slot made{begun_++, {}, {}};
      lock.unlock();
      try {
        made.batch = make_(made.place);
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      if (made.place < next_) continue;  // the loop has gone past it
      Slot& slot = slots_[static_cast<std::size_t>(made.place) % slots_.size()];
      std::swap(slot, made);
      made_.notify_all();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wanted_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  const Make make_;
  const Index count_;
  std::mutex mutex_;
  std::condition_variable wanted_;  // a slot is free, or the workers must stop
  std::condition_variable made_;    // a batch is ready
  std::vector<Slot> slots_;         // the batch at place p in slot p % size
  Index begun_ = 0;                 // the first batch that no worker has begun
  Index next_ = 0;                  // the first batch that the loop has not taken
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace detail

DataLoader::DataLoader(std::vector<Tensor> tensors, std::vector<std::int32_t> labels, DataLoaderOptions options)
    : DataLoader(options, std::make_shared<TensorSource>(std::move(tensors), std::move(labels))) {}

DataLoader::DataLoader(DataLoaderOptions options, std::shared_ptr<detail::BatchSource> source)
    : source_(std::move(source)), options_(options), count_(source_->count) {
  check(options.batch_size >= 1, "DataLoader: batches of {}; batch_size must be at least 1", options.batch_size);
  check(options.workers >= 0 && options.prefetch >= 1,
        "DataLoader: workers is {}, it must be at least 0; prefetch is {}, it must be at least 1", options.workers,
        options.prefetch);
  check(count_ >= 0, "DataLoader: the dataset's size is {}; it must be at least 0", count_);
  if (options.seed) own_.emplace(*options.seed);
  order_.resize(static_cast<std::size_t>(count_));
  std::iota(order_.begin(), order_.end(), Index{0});
}

Index DataLoader::size() const {
  const Index whole = count_ / options_.batch_size;
  return options_.drop_last || count_ % options_.batch_size == 0 ? whole : whole + 1;
}

DataLoader::Iterator DataLoader::begin() {
  check_has_examples();
  prefetcher_.reset();
  Generator& generator = own_ ? *own_ : default_generator();
  if (options_.shuffle) order_ = generator.permutation(count_);
  if (source_->draws_numbers) epoch_seed_ = generator.random64();
  if (options_.workers > 0 && size() > 0) {
    const auto make = [source = source_, order = order_, seed = epoch_seed_, size = options_.batch_size](Index place) {
      const NoGrad no_grad;
      const auto from = order.begin() + static_cast<std::ptrdiff_t>(place * size);
      return source->batch({from, from + std::min<std::ptrdiff_t>(size, order.end() - from)}, seed);
    };
    const Index ahead = std::min(size(), saturating_product({options_.workers, options_.prefetch}));
    const int workers = static_cast<int>(std::min<Index>(options_.workers, size()));
    prefetcher_ = std::make_shared<detail::Prefetcher>(make, size(), workers, ahead);
  }
  return {this, 0};
}

void DataLoader::check_has_examples() const {
  check(source_ != nullptr, "DataLoader: its examples were moved to another one; use that one");
}

Batch DataLoader::batch(Index place) const {
  check_has_examples();
  check(place < size(), "DataLoader: batch {} was asked for, but an epoch has {}; stop at end()", place, size());
  if (prefetcher_ != nullptr) return prefetcher_->take(place);
  const auto from = order_.begin() + static_cast<std::ptrdiff_t>(place * options_.batch_size);
  const Index n = std::min(options_.batch_size, count_ - place * options_.batch_size);
  return rows({from, from + static_cast<std::ptrdiff_t>(n)});
}

Batch DataLoader::rows(std::vector<Index> rows) const {
  check_has_examples();
  for (const Index row : rows) {
    check(count_ > 0, "DataLoader: row {} was asked for, but there are no examples; give it some", row);
    check(row >= 0 && row < count_, "DataLoader: there is no row {} among {}; use 0 .. {}", row, count_, count_ - 1);
  }
  const NoGrad no_grad;
  return source_->batch(std::move(rows), epoch_seed_);
}

}  // namespace gradus::nn
