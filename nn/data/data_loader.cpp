// An epoch is an order of all rows, cut into pieces; a batch copies its rows.
#include <gradus/nn/data/data_loader.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include <gradus/core/autograd.h>

namespace gradus::nn {

DataLoader::DataLoader(std::vector<Tensor> tensors, std::vector<std::int32_t> labels, DataLoaderOptions options)
    : tensors_(std::move(tensors)), labels_(std::move(labels)), options_(options) {
  check(!tensors_.empty(), "DataLoader: no tensors came; it needs at least one, (rows, ..)");
  check(options.batch_size >= 1, "DataLoader: batches of {}; batch_size must be at least 1", options.batch_size);
  const std::vector<std::reference_wrapper<const Tensor>> all(tensors_.begin(), tensors_.end());
  check_defined("DataLoader", detail::InputList(all));
  for (const Tensor& tensor : tensors_) {
    check(tensor.rank() >= 1 && tensor.size(0) == tensors_[0].size(0),
          "DataLoader: {} and {} must have the same first size, one row for each example", tensors_[0].shape(),
          tensor.shape());
  }
  count_ = tensors_[0].size(0);
  check(labels_.empty() || static_cast<Index>(labels_.size()) == count_,
        "DataLoader: {} labels came for {} rows of {}; one per row", labels_.size(), count_, tensors_[0].shape());
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
  if (options_.shuffle) order_ = (own_ ? *own_ : default_generator()).permutation(count_);
  return {this, 0};
}

void DataLoader::check_has_examples() const {
  check(!tensors_.empty(), "DataLoader: its examples were moved to another one; use that one");
}

Batch DataLoader::batch(Index place) const {
  check_has_examples();
  check(place < size(), "DataLoader: batch {} was asked for, but an epoch has {}; stop at end()", place, size());
  const auto from = order_.begin() + static_cast<std::ptrdiff_t>(place * options_.batch_size);
  const Index n = std::min(options_.batch_size, count_ - place * options_.batch_size);
  return rows({from, from + static_cast<std::ptrdiff_t>(n)});
}

Batch DataLoader::rows(std::vector<Index> rows) const {
  check_has_examples();
  Batch batch;
  for (const Index row : rows) {
    check(count_ > 0, "DataLoader: row {} was asked for, but the tensors have no rows; give it some", row);
    check(row >= 0 && row < count_, "DataLoader: there is no row {} among {}; use 0 .. {}", row, count_, count_ - 1);
  }
  for (const Tensor& tensor : tensors_) {
    Shape shape = tensor.shape();
    shape.set(0, static_cast<Index>(rows.size()));
    Tensor picked = Tensor::empty(shape, tensor.dtype());
    const Index width = count_ == 0 ? 0 : tensor.numel() / count_;
    dispatch(tensor.dtype(), [&]<class T>() {
      auto to = picked.data<T>().begin();
      for (const Index row : rows) to = std::copy_n(tensor.data<T>().begin() + row * width, width, to);
    });
    batch.tensors.push_back(std::move(picked));
  }
  for (std::size_t i = 0; i < rows.size() && !labels_.empty(); ++i) {
    batch.labels.push_back(labels_[static_cast<std::size_t>(rows[i])]);
  }
  batch.rows = std::move(rows);
  return batch;
}

}  // namespace gradus::nn
