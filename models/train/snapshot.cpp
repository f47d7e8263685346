// Statistics are computed on one thread in a fixed order, so that the same weights give the same file.
#include <gradus/models/train/snapshot.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/detail/json.h>
#include <gradus/models/gpt/trace.h>
#include <gradus/nn/files/safetensors.h>

namespace gradus::models {
namespace {

namespace fs = std::filesystem;
using detail::Json;

constexpr const char* snapshot_key = "snapshot";
constexpr std::string_view prefix = "step-", ending = ".safetensors";

constexpr int per_decade = 4, smallest = -9, largest = 2;            // powers of ten
constexpr std::size_t one_side = (largest - smallest) * per_decade;  // bins on one side of 0
constexpr std::size_t bins = 2 * one_side + 1;

// The bins of positive numbers: 0 is around 0, k + 1 lies between the k-th of these borders and the next.
const std::vector<double>& borders() {
  static const std::vector<double> all(histogram_edges().begin() + one_side + 1, histogram_edges().end());
  return all;
}

// A table by exponent and the first bits of the fraction leads to the bin or to the one below it: a logarithm for each
// of a million weights would take a third of a snapshot's time.
class Bins {
 public:
  Bins() {
    for (std::uint32_t i = 0; i < cells; ++i) first_[i] = counted(std::bit_cast<float>(i << shift));
  }
  std::size_t of(double x) const {
    const double size = std::abs(x);
    std::size_t bin = first_[std::bit_cast<std::uint32_t>(static_cast<float>(size)) >> shift];
    while (bin > 0 && size < borders()[bin - 1]) --bin;  // rounded up to a float
    while (bin < one_side && size >= borders()[bin]) ++bin;
    return x > 0 ? one_side + bin : one_side - bin;
  }

 private:
  static constexpr std::uint32_t shift = 18, cells = 1U << (31 - shift);
  static std::size_t counted(double size) {
    const auto above = std::ranges::upper_bound(borders(), size);
    return std::min<std::size_t>(one_side, static_cast<std::size_t>(above - borders().begin()));
  }
  std::array<std::size_t, cells> first_{};
};

struct MeanStd {
  double mean, std;
};

MeanStd spread_of(const Tensor& x) {
  double sum = 0, squares = 0;
  dispatch(x.dtype(), [&]<class T>() {
    for (const T value : x.data<T>()) {
      sum += static_cast<double>(value);
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
  });
  const auto n = static_cast<double>(x.numel());
  return {sum / n, std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)))};
}

// The activation's slope at each of these values, as the engine has it.
Tensor slopes_of(const nn::MLP& mlp, const Tensor& hidden) {
  Tensor x = hidden.detach();
  x.requires_grad(true);
  sum(mlp.activate(x)).backward();
  return x.grad();
}

struct Firing {
  double saturated, never_fire;
};

Firing firing_of(const Tensor& slopes) {  // (N, units)
  constexpr double flat = 0.03;
  const auto units = static_cast<std::size_t>(slopes.size(-1));
  std::vector<bool> fires(units, false);
  Index saturated = 0;
  dispatch(slopes.dtype(), [&]<class T>() {
    const auto values = slopes.data<T>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::abs(static_cast<double>(values[i])) < flat) {
        ++saturated;
      } else {
        fires[i % units] = true;
      }
    }
  });
  const auto silent = std::ranges::count(fires, false);
  return {static_cast<double>(saturated) / static_cast<double>(slopes.numel()),
          static_cast<double>(silent) / static_cast<double>(units)};
}

// null where there is no number.
Json json_of(const std::vector<double>& numbers) {
  Json list = Json::array();
  for (const double x : numbers) list.push_back(std::isfinite(x) ? Json(x) : Json());
  return list;
}

// So many numbers; null is NaN.
std::vector<double> numbers_in(const Json& list, std::size_t count) {
  check(list.is_array() && list.size() == count, "a list of the activations has {} entries for {} layers", list.size(),
        count);
  std::vector<double> numbers;
  for (const Json& x : list) {
    numbers.push_back(x.is_null() ? std::numeric_limits<double>::quiet_NaN() : x.get<double>());
  }
  return numbers;
}

Json to_json(const Snapshot& snapshot) {
  const Activations& a = snapshot.activations;
  return {{"step", snapshot.step},
          {"matrices", snapshot.matrices},
          {"weights", snapshot.of_weights},
          {"gradients", snapshot.of_gradients},
          {"activations",
           {{"layers", a.layers},
            {"mean", json_of(a.mean)},
            {"std", json_of(a.std)},
            {"saturated", json_of(a.saturated)},
            {"never_fire", json_of(a.never_fire)}}},
          {"samples", snapshot.samples}};
}

// A histogram for each matrix; none at all where there were no gradients.
std::vector<std::vector<Index>> histograms_in(const Json& list, std::size_t matrices) {
  check(list.is_array() && (list.size() == matrices || list.empty()), "it has {} histograms for {} matrices",
        list.size(), matrices);
  std::vector<std::vector<Index>> all;
  for (const Json& counts : list) {
    const bool whole = counts.is_array() && counts.size() == bins &&
                       std::ranges::all_of(counts, [](const Json& x) { return x.is_number_unsigned(); });
    check(whole, "a histogram is no list of {} counts", bins);
    all.push_back(counts.get<std::vector<Index>>());
  }
  return all;
}

Snapshot from_json(const Json& json) {
  Snapshot snapshot;
  check(json.at("step").is_number_unsigned(), "its step is no number");
  json.at("step").get_to(snapshot.step);
  json.at("matrices").get_to(snapshot.matrices);
  snapshot.of_weights = histograms_in(json.at("weights"), snapshot.matrices.size());
  snapshot.of_gradients = histograms_in(json.at("gradients"), snapshot.matrices.size());
  const Json& a = json.at("activations");
  a.at("layers").get_to(snapshot.activations.layers);
  const std::size_t layers = snapshot.activations.layers.size();
  snapshot.activations.mean = numbers_in(a.at("mean"), layers);
  snapshot.activations.std = numbers_in(a.at("std"), layers);
  snapshot.activations.saturated = numbers_in(a.at("saturated"), layers);
  snapshot.activations.never_fire = numbers_in(a.at("never_fire"), layers);
  json.at("samples").get_to(snapshot.samples);
  return snapshot;
}

bool fits_f16(const nn::NamedTensors& tensors) {
  constexpr double most = 65504;
  return std::ranges::all_of(tensors, [](const auto& entry) {
    return dispatch(entry.second.dtype(), [&tensor = entry.second]<class T>() {
      return std::ranges::all_of(tensor.template data<T>(), [](T x) { return std::abs(x) <= T(most); });
    });
  });
}

}  // namespace

const std::vector<double>& histogram_edges() {
  static const std::vector<double> edges = [] {
    std::vector<double> all;
    for (std::size_t k = 0; k <= one_side; ++k) {
      all.push_back(-std::pow(10.0, largest - static_cast<double>(k) / per_decade));
    }
    for (std::size_t k = 0; k <= one_side; ++k) {
      all.push_back(std::pow(10.0, smallest + static_cast<double>(k) / per_decade));
    }
    return all;
  }();
  return edges;
}

std::vector<Index> histogram(const Tensor& x) {
  std::vector<Index> counts(bins);
  static const Bins bin;
  dispatch(x.dtype(), [&]<class T>() {
    for (const T value : x.data<T>()) {
      if (!std::isnan(value)) ++counts[bin.of(static_cast<double>(value))];
    }
  });
  return counts;
}

Activations activations_of(const GPT& model, const Batch& batch) {
  const Trace seen = trace(model, batch.tokens, batch.lengths);
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  Activations result;
  const auto add = [&](std::string layer, const Tensor& added, Firing firing) {
    const MeanStd spread = spread_of(added);
    result.layers.push_back(std::move(layer));
    result.mean.push_back(spread.mean);
    result.std.push_back(spread.std);
    result.saturated.push_back(firing.saturated);
    result.never_fire.push_back(firing.never_fire);
  };
  for (std::size_t i = 0; i < seen.blocks.size(); ++i) {
    add(fmt::format("h.{}.attn", i), seen.blocks[i].attn, {none, none});
    add(fmt::format("h.{}.mlp", i), seen.blocks[i].mlp, firing_of(slopes_of(model.h[i].mlp, seen.blocks[i].hidden)));
  }
  return result;
}

void save_snapshot(const fs::path& path, const Snapshot& snapshot) {
  nn::NamedTensors tensors = snapshot.weights;
  // A file needs a tensor.
  if (tensors.empty()) tensors.emplace_back("step", zeros({1}));
  nn::save_tensors(path.string(), tensors, {{snapshot_key, detail::dump(to_json(snapshot))}},
                   {.storage = fits_f16(tensors) ? nn::Storage::f16 : nn::Storage::bf16});
}

Snapshot load_snapshot(const fs::path& path) {
  nn::TensorFile file = nn::read_tensors(path.string());
  const auto found = file.metadata.find(snapshot_key);
  check(found != file.metadata.end(), "'{}' is no snapshot of a training", path.native());
  const Json json = detail::parse_json(found->second, path.native());
  try {
    Snapshot snapshot = from_json(json);
    std::erase_if(file.tensors, [](const auto& entry) { return entry.first == "step"; });
    snapshot.weights = std::move(file.tensors);
    return snapshot;
  } catch (const std::exception& problem) {
    fail("'{}': {}; the file is damaged", path.native(), problem.what());
  }
}

std::string snapshot_name(Index step) {
  return fmt::format("{}{}{}", prefix, step, ending);
}

std::vector<Index> snapshots_in(const fs::path& folder) {
  std::vector<Index> steps;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix) || !name.ends_with(ending)) continue;
    Index step = -1;
    const char* const last = name.data() + name.size() - ending.size();
    const auto [end, error] = std::from_chars(name.data() + prefix.size(), last, step);
    if (error == std::errc{} && end == last && step >= 0) steps.push_back(step);
  }
  std::ranges::sort(steps);
  return steps;
}

}  // namespace gradus::models
