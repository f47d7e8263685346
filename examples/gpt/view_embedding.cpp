// The token embeddings as points of a plane. Its two directions are those in which they differ most at the end
// (principal components, found by power iteration), the same for all steps, so that a point's path is its learning.
#include <algorithm>
#include <cmath>

#include "view_parts.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using Row = std::vector<double>;

double dot(const Row& a, const Row& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

std::vector<Row> rows_of(const models::GPT& model, const std::vector<std::int32_t>& ids) {
  const std::vector<double> table = model.wte.weight.to_vector();
  const auto C = static_cast<std::ptrdiff_t>(model.config().n_embd);
  std::vector<Row> rows;
  for (const std::int32_t id : ids) rows.emplace_back(table.begin() + id * C, table.begin() + (id + 1) * C);
  return rows;
}

void subtract(std::vector<Row>& rows, const Row& mean) {
  for (Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) row[i] -= mean[i];
  }
}

struct Axis {
  Row direction;
  double variance;  // the sum of squares along it
};

// The direction of the largest variance that is orthogonal to those before. It points to where its largest component is
// above 0.
Axis next_axis(const std::vector<Row>& rows, const std::vector<Axis>& before) {
  Row v(rows[0].size());
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = 1 + 0.1 * static_cast<double>(i % 7);  // orthogonal to nothing
  double variance = 0;
  constexpr int rounds = 300;
  for (int round = 0; round < rounds; ++round) {
    for (const Axis& axis : before) {
      const double along = dot(v, axis.direction);
      for (std::size_t i = 0; i < v.size(); ++i) v[i] -= along * axis.direction[i];
    }
    const double length = std::sqrt(dot(v, v));
    if (!(length > 0)) return {Row(v.size()), 0};
    for (double& x : v) x /= length;
    if (round + 1 == rounds) break;
    Row next(v.size());
    variance = 0;
    for (const Row& row : rows) {
      const double along = dot(row, v);
      variance += along * along;
      for (std::size_t i = 0; i < v.size(); ++i) next[i] += along * row[i];
    }
    v = std::move(next);
  }
  const auto most = std::ranges::max_element(v, {}, [](double x) { return std::abs(x); });
  if (*most < 0) {
    for (double& x : v) x = -x;
  }
  return {std::move(v), variance};
}

}  // namespace

Json embedding_part(const ViewRun& run, std::set<std::int32_t>& vocab) {
  constexpr std::int32_t most = 200;
  std::vector<std::int32_t> ids;
  if (run.tokenizer.vocab_size() <= most) {
    for (std::int32_t id = 0; id < static_cast<std::int32_t>(run.tokenizer.vocab_size()); ++id) ids.push_back(id);
  } else {
    for (const std::int32_t id : vocab) {  // of a large vocabulary those that the texts show
      if (std::ssize(ids) < most) ids.push_back(id);
    }
  }
  if (ids.size() < 3 || run.config.n_embd < 2) return {};
  vocab.insert(ids.begin(), ids.end());
  std::vector<Row> rows = rows_of(run.model(), ids);
  Row mean(rows[0].size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += row[i] / static_cast<double>(rows.size());
  }
  subtract(rows, mean);
  double all = 0;
  for (const Row& row : rows) all += dot(row, row);
  std::vector<Axis> axes;
  while (axes.size() < 2) axes.push_back(next_axis(rows, axes));
  Json xy = Json::array();
  for (const ViewState& state : run.states) {
    std::vector<Row> then = rows_of(state.model, ids);
    subtract(then, mean);
    Json points = Json::array();
    for (const Row& row : then) {
      points.push_back({number(dot(row, axes[0].direction), 4), number(dot(row, axes[1].direction), 4)});
    }
    xy.push_back(std::move(points));
  }
  return {{"ids", ids},
          {"explained", {number(axes[0].variance / all, 4), number(axes[1].variance / all, 4)}},
          {"xy", std::move(xy)}};
}

}  // namespace gpt
