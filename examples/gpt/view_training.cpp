// How the training went: of the log, every so many lines where there are many, and of the recording all.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "view_parts.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;

constexpr std::size_t most_points = 2000;  // a page has fewer dots across

// The mean over the steps from s / 1.25 to 1.25 s around each step s: a window that grows with the step lies on the
// curve wherever that falls, on a logarithmic axis too.
std::vector<double> smoothed(const std::vector<models::LogLine>& log) {
  constexpr double reach = 1.25;
  std::vector<double> sums{0}, means;
  for (const models::LogLine& line : log) sums.push_back(sums.back() + line.train_loss);
  std::size_t begin = 0, end = 0;
  for (const models::LogLine& line : log) {
    const auto step = static_cast<double>(line.step);
    while (static_cast<double>(log[begin].step) < step / reach) ++begin;
    while (end < log.size() && static_cast<double>(log[end].step) <= step * reach) ++end;
    means.push_back((sums[end] - sums[begin]) / static_cast<double>(end - begin));
  }
  return means;
}

// What clip_grad_norm() multiplies gradients of this norm with.
double clip_factor(double norm, double clip) {
  return clip > 0 ? std::min(1.0, clip / (norm + 1e-6)) : 1;
}

// [entry][step] of a list of rows.
template <class Rows, class F>
Json turned(const Rows& rows, std::size_t entries, const F& entry_of) {
  Json all = Json::array();
  for (std::size_t i = 0; i < entries; ++i) {
    Json over_steps = Json::array();
    for (const auto& row : rows) over_steps.push_back(number(entry_of(row, i)));
    all.push_back(std::move(over_steps));
  }
  return all;
}

Json steps_of(const std::vector<models::Snapshot>& snapshots) {
  Json steps = Json::array();
  for (const models::Snapshot& snapshot : snapshots) steps.push_back(snapshot.step);
  return steps;
}

// Which measurements are shown of many: every so many, the lowest and the last.
std::vector<models::LogLine> shown_measurements(const std::vector<models::LogLine>& log) {
  std::vector<models::LogLine> all, shown;
  std::ranges::copy_if(log, std::back_inserter(all), [](const auto& line) { return line.val_loss.has_value(); });
  const auto best = std::ranges::min_element(all, {}, [](const auto& line) { return *line.val_loss; });
  const std::size_t stride = (all.size() + most_points - 1) / most_points;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i % stride == 0 || i + 1 == all.size() || &all[i] == &*best) shown.push_back(all[i]);
  }
  return shown;
}

}  // namespace

Json loss_part(const ViewRun& run) {
  if (run.log.empty()) return {};
  const std::vector<double> means = smoothed(run.log);
  const std::size_t stride = (run.log.size() + most_points - 1) / most_points;
  Json step = Json::array(), train = step, smooth = step, lr = step, norm = step, clip = step, tokens = step;
  Json held_out = {{"step", step}, {"loss", step}};
  for (const models::LogLine& line : shown_measurements(run.log)) {
    held_out["step"].push_back(line.step);
    held_out["loss"].push_back(number(*line.val_loss, 7));
  }
  for (std::size_t i = 0; i < run.log.size(); ++i) {
    const models::LogLine& line = run.log[i];
    if (i % stride != 0 && i + 1 != run.log.size()) continue;
    step.push_back(line.step);
    train.push_back(number(line.train_loss));
    smooth.push_back(number(means[i]));
    lr.push_back(number(line.lr));
    norm.push_back(number(line.grad_norm));
    clip.push_back(number(clip_factor(line.grad_norm, run.options.clip)));
    tokens.push_back(line.tokens);
  }
  return {{"step", step},      {"train", train}, {"smoothed", smooth}, {"lr", lr},
          {"grad_norm", norm}, {"clip", clip},   {"tokens", tokens},   {"held_out", held_out}};
}

Json matrices_part(const ViewRun& run) {
  Json matrices = Json::array();
  if (!run.record) return matrices;
  for (const models::Record::Matrix& matrix : run.record->matrices) {
    matrices.push_back({{"name", matrix.name}, {"shape", matrix.shape}});
  }
  return matrices;
}

Json per_matrix_part(const ViewRun& run) {
  if (!run.record) return {};
  using Line = models::Record::Line;
  const std::vector<Line>& all = run.record->lines;
  const std::size_t matrices = run.record->matrices.size();
  const std::size_t points = std::max<std::size_t>(100, most_points * 10 / std::max<std::size_t>(1, matrices));
  const std::size_t stride = std::max<std::size_t>(1, (all.size() + points - 1) / points);
  std::vector<Line> lines;
  Json steps = Json::array();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i >= 20 && i % stride != 0 && i + 1 != all.size()) continue;  // the first ones differ most
    lines.push_back(all[i]);
    steps.push_back(all[i].step);
  }
  return {
      {"step", steps},
      {"grad_norm", turned(lines, matrices, [](const Line& line, std::size_t i) { return line.grad_norm[i]; })},
      {"weight_norm", turned(lines, matrices, [](const Line& line, std::size_t i) { return line.weight_norm[i]; })},
      {"update_ratio", turned(lines, matrices, [](const Line& line, std::size_t i) { return line.update_ratio[i]; })}};
}

Json histograms_part(const ViewRun& run) {
  if (!run.record || run.snapshots.empty()) return {};
  Json weights = Json::array(), gradients = weights;
  for (std::size_t i = 0; i < run.record->matrices.size(); ++i) {
    Json of_weights = Json::array(), of_gradients = of_weights;
    for (const models::Snapshot& snapshot : run.snapshots) {
      of_weights.push_back(i < snapshot.of_weights.size() ? Json(snapshot.of_weights[i]) : Json());
      of_gradients.push_back(i < snapshot.of_gradients.size() ? Json(snapshot.of_gradients[i]) : Json());
    }
    weights.push_back(std::move(of_weights));
    gradients.push_back(std::move(of_gradients));
  }
  return {{"edges", numbers(models::histogram_edges(), 6)},
          {"step", steps_of(run.snapshots)},
          {"weights", weights},
          {"gradients", gradients}};
}

Json activations_part(const ViewRun& run) {
  if (run.snapshots.empty()) return {};
  const auto& layers = run.snapshots.back().activations.layers;
  const auto over = [&](auto member) {
    return turned(run.snapshots, layers.size(),
                  [&](const models::Snapshot& snapshot, std::size_t i) { return (snapshot.activations.*member)[i]; });
  };
  using models::Activations;
  return {{"layers", layers},
          {"step", steps_of(run.snapshots)},
          {"mean", over(&Activations::mean)},
          {"std", over(&Activations::std)},
          {"saturated", over(&Activations::saturated)},
          {"never_fire", over(&Activations::never_fire)}};
}

Json samples_part(const ViewRun& run) {
  if (run.snapshots.empty()) return {};
  Json samples = Json::array();
  for (const models::Snapshot& snapshot : run.snapshots) {
    samples.push_back({{"step", snapshot.step}, {"texts", snapshot.samples}});
  }
  return samples;
}

}  // namespace gpt
