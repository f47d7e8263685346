// What a checkpoint covers is on the disk before it. Snapshots wait in memory until lines may be written too; those of
// a training that replaces another are written beside the old ones first and moved after its checkpoint. A kill in
// between is repaired by the next resume, which finds the line of its checkpoint in the one file or in the other.
#include <gradus/models/train/recording.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <system_error>

#include <gradus/core/ops/update.h>
#include <gradus/models/detail/json.h>
#include <gradus/models/text/text.h>
#include <gradus/models/train/detail/run_config.h>

namespace gradus::models {
namespace {

namespace fs = std::filesystem;
using detail::Json;

constexpr Index most_measured = 1 << 12;  // elements of a matrix whose update is measured

Index stride_of(const Tensor& x) {
  return std::max<Index>(1, (x.numel() + most_measured - 1) / most_measured);
}

// How many times fewer lines a model with many matrices has: a power of ten with which a million steps take at most 8
// MB.
Index thinning(Index matrices) {
  constexpr Index budget = 8'000'000, bytes_a_matrix = 39, lines = 100 + 990 + 900 + 900;
  Index thin = 1;
  while (lines / thin * matrices * bytes_a_matrix > budget) thin *= 10;
  return thin;
}

void keep_measured(const Tensor& weight, const Tensor& kept) {
  const auto stride = static_cast<std::size_t>(stride_of(weight));
  dispatch(weight.dtype(), [&]<class T>() {
    const auto from = weight.data<T>(), to = kept.data<T>();
    if (stride == 1) {
      std::ranges::copy(from, to.begin());
    } else {
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i * stride];
    }
  });
}

// Sums of numbers and of their squares, in four parts that a processor can add at once.
struct Sums {
  std::array<double, 4> sum{}, squares{};

  void add(std::size_t lane, double x) {
    sum[lane] += x;
    squares[lane] += x * x;
  }
  double std(double n) const {
    const double mean = (sum[0] + sum[1] + sum[2] + sum[3]) / n;
    const double square = (squares[0] + squares[1] + squares[2] + squares[3]) / n;
    return std::sqrt(std::max(0.0, square - mean * mean));
  }
};

// std(weight - before) / std(before)
double update_ratio(const Tensor& weight, const Tensor& before) {
  const auto stride = static_cast<std::size_t>(stride_of(weight));
  Sums updates, weights;
  dispatch(weight.dtype(), [&]<class T>() {
    const auto now = weight.data<T>(), then = before.data<T>();
    const auto add = [&](std::size_t i, std::size_t lane) {
      updates.add(lane, static_cast<double>(now[i * stride] - then[i]));
      weights.add(lane, static_cast<double>(then[i]));
    };
    std::size_t i = 0;
    for (; i + 4 <= then.size(); i += 4) {
      for (std::size_t lane = 0; lane < 4; ++lane) add(i + lane, lane);
    }
    for (; i < then.size(); ++i) add(i, 0);
  });
  const auto n = static_cast<double>(before.numel());
  return updates.std(n) / weights.std(n);
}

std::string number(double x) {
  return std::isfinite(x) ? fmt::format("{:.5g}", x) : "null";
}

template <class F>
std::string list(std::size_t count, const F& f) {
  std::string text = "[";
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ", ") + f(i);
  return text + "]";
}

// What is trained and has rows and columns.
nn::NamedTensors matrices_of(const GPT& model) {
  nn::NamedTensors all = model.named_parameters();
  std::erase_if(all, [](const auto& entry) { return entry.second.rank() < 2 || !entry.second.requires_grad(); });
  return all;
}

std::string header_of(const GPT& model) {
  Json matrices = Json::array();
  for (const auto& [name, weight] : matrices_of(model)) {
    matrices.push_back({{"name", name}, {"shape", {weight.size(0), weight.size(1)}}});
  }
  return detail::dump(Json{{"matrices", matrices}});
}

fs::path staged_folder(const fs::path& folder) {
  return folder / detail::staged_snapshots;
}

std::optional<std::vector<double>> numbers_in(const Json& json, const char* key, std::size_t count) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array() || found->size() != count) return std::nullopt;
  std::vector<double> numbers;
  for (const Json& x : *found) {
    if (!x.is_number() && !x.is_null()) return std::nullopt;
    numbers.push_back(x.is_null() ? std::numeric_limits<double>::quiet_NaN() : x.get<double>());
  }
  return numbers;
}

std::optional<Record::Line> line_in(std::string_view text, std::size_t matrices) {
  const std::optional<Json> json = detail::try_parse_json(text);
  if (!json || !json->is_object() || !json->contains("step") || !(*json)["step"].is_number_integer()) return {};
  auto gradients = numbers_in(*json, "grad_norm", matrices), weights = numbers_in(*json, "weight_norm", matrices),
       updates = numbers_in(*json, "update_ratio", matrices);
  if (!gradients || !weights || !updates) return std::nullopt;
  return Record::Line{(*json)["step"].get<Index>(), std::move(*gradients), std::move(*weights), std::move(*updates)};
}

std::vector<Record::Matrix> header_in(std::string_view text) {
  std::vector<Record::Matrix> matrices;
  const std::optional<Json> json = detail::try_parse_json(text);
  if (!json || !json->is_object() || !json->contains("matrices") || !(*json)["matrices"].is_array()) return matrices;
  for (const Json& entry : (*json)["matrices"]) {
    if (!entry.is_object() || !entry.contains("name") || !entry.contains("shape")) return {};
    const Json &name = entry["name"], &shape = entry["shape"];
    const auto is_size = [](const Json& x) { return x.is_number_unsigned(); };
    if (!name.is_string() || !shape.is_array() || !std::ranges::all_of(shape, is_size)) return {};
    matrices.push_back({name.get<std::string>(), shape.get<std::vector<Index>>()});
  }
  return matrices;
}

}  // namespace

bool is_recorded(Index step, Index matrices) {
  const Index thin = thinning(matrices);
  if (step <= 100 / thin) return step > 0;
  Index stride = 10;
  while (stride * 1000 < step) stride *= 10;
  return step % (stride * thin) == 0;
}

bool has_snapshot(Index step) {
  if (step <= 0) return step == 0;
  while (step % 10 == 0) step /= 10;
  return step == 1 || step == 2 || step == 5;
}

fs::path snapshot_folder(const fs::path& folder) {
  return folder / detail::snapshots_folder;
}

Recording::Recording(fs::path folder, const GPT& model, const Dataset& dataset,
                     std::function<std::vector<std::string>()> sampler)
    : folder_(std::move(folder)),
      model_(model),
      sampler_(std::move(sampler)),
      lines_(folder_ / detail::record_file, header_of(model), "record") {
  constexpr Index looked_at = 512;  // tokens
  dataset.read(dataset.size(Part::held_out) > 0 ? Part::held_out : Part::train, 0, looked_at, batch_);
  for (auto& [name, weight] : matrices_of(model)) {
    const Index measured = (weight.numel() + stride_of(weight) - 1) / stride_of(weight);
    Tensor before = Tensor::empty({measured}, weight.dtype());
    matrices_.push_back({name, std::move(weight), std::move(before)});
  }
}

void Recording::begin() {
  take_snapshot(0);
}

void Recording::go_on_after(const std::string& end, Index step) {
  step_ = step;
  staged_counts_ = lines_.go_on_after(end) == LineFile::Found::staged;
}

void Recording::before_update(Index step) {
  of_gradients_.clear();
  if (has_snapshot(step)) {
    for (const Matrix& m : matrices_) {
      const Tensor grad = m.weight.grad();
      of_gradients_.push_back(histogram(grad.defined() ? grad : zeros_like(m.weight)));
    }
  }
  if (!is_recorded(step, std::ssize(matrices_))) return;
  for (Matrix& m : matrices_) {
    const Tensor grad = m.weight.grad();
    m.grad_norm = grad.defined() ? joint_norm({grad}) : 0;
    keep_measured(m.weight, m.before);
  }
}

void Recording::after_update(Index step) {
  step_ = step;
  if (is_recorded(step, std::ssize(matrices_))) {
    const auto of_each = [&](const auto& f) {
      return list(matrices_.size(), [&](std::size_t i) { return number(f(matrices_[i])); });
    };
    lines_.write(fmt::format(R"({{"step": {}, "grad_norm": {}, "weight_norm": {}, "update_ratio": {}}})", step,
                             of_each([](const Matrix& m) { return m.grad_norm; }),
                             of_each([](const Matrix& m) { return joint_norm({m.weight}); }),
                             of_each([](const Matrix& m) { return update_ratio(m.weight, m.before); })));
  }
  if (has_snapshot(step)) take_snapshot(step);
}

void Recording::take_snapshot(Index step) {
  Snapshot snapshot{.step = step};
  if (model_.num_parameters() <= most_kept_parameters) {
    for (const auto& [name, weight] : model_.merged().named_state()) {
      snapshot.weights.emplace_back(name, weight.detach().clone());
    }
  }
  for (const Matrix& m : matrices_) {
    snapshot.matrices.push_back(m.name);
    snapshot.of_weights.push_back(histogram(m.weight));
  }
  snapshot.of_gradients = std::move(of_gradients_);
  snapshot.activations = activations_of(model_, batch_);
  snapshot.samples = sampler_();
  pending_.push_back(std::move(snapshot));
}

void Recording::write_snapshots(const fs::path& place) {
  if (pending_.empty()) return;
  make_folder(place);
  for (const Snapshot& snapshot : pending_) save_snapshot(place / snapshot_name(snapshot.step), snapshot);
  pending_.clear();
}

void Recording::flush() {
  if (!lines_.is_open()) {
    stage();
    replace();
    return;
  }
  write_snapshots(snapshot_folder(folder_));
  lines_.flush();
}

void Recording::sync() {
  flush();
  lines_.sync();
}

void Recording::stage() {
  std::error_code ignored;  // what stays is overwritten or removed later
  if (!staged_counts_) fs::remove_all(staged_folder(folder_), ignored);
  write_snapshots(staged_folder(folder_));
  lines_.stage();
}

void Recording::unstage() {
  std::error_code ignored;  // a folder too many does no harm
  if (!staged_counts_) fs::remove_all(staged_folder(folder_), ignored);
}

void Recording::replace() {
  const fs::path staged = staged_folder(folder_), place = snapshot_folder(folder_);
  std::error_code error;
  for (const Index step : snapshots_in(staged)) {
    make_folder(place);
    fs::rename(staged / snapshot_name(step), place / snapshot_name(step), error);
    check(!error, "record: cannot move '{}': {}; check the folder", (staged / snapshot_name(step)).native(),
          error.message());
  }
  fs::remove_all(staged, error);
  for (const Index step : snapshots_in(place)) {
    if (step > step_) fs::remove(place / snapshot_name(step), error);
  }
  lines_.replace();
}

void Recording::remove(const fs::path& folder) {
  std::error_code ignored;  // a file too many does no harm
  fs::remove(folder / detail::record_file, ignored);
  fs::remove_all(snapshot_folder(folder), ignored);
  fs::remove_all(staged_folder(folder), ignored);
}

std::optional<Record> read_record(const fs::path& folder) {
  Record record;
  bool first = true;
  each_line(bytes_of(folder / detail::record_file), [&](std::string_view text, std::size_t) {
    if (std::exchange(first, false)) {
      record.matrices = header_in(text);
    } else if (auto line = line_in(text, record.matrices.size())) {
      record.lines.push_back(std::move(*line));
    }
    return !record.matrices.empty();
  });
  if (record.matrices.empty()) return std::nullopt;
  return record;
}

}  // namespace gradus::models
