// Three steps: layers by the longest way, one invisible vertex where an edge passes a layer, then sweeps in which each
// layer is sorted by the mean place of its neighbors.
#include <gradus/core/inspect/detail/graph_layout.h>

#include <algorithm>
#include <numeric>

namespace gradus::detail {

namespace {

using Edges = std::vector<std::pair<std::size_t, std::size_t>>;
using Neighbors = std::vector<std::vector<std::size_t>>;

std::vector<std::size_t> layers_of(std::size_t vertices, const Edges& edges) {
  std::vector<std::size_t> layer(vertices, 0);
  Neighbors users(vertices);
  std::vector<bool> has_origin(vertices, false);
  for (const auto& [from, to] : edges) {
    users[from].push_back(to);
    has_origin[to] = true;
  }
  for (std::size_t v = 0; v < vertices; ++v) {
    for (const std::size_t user : users[v]) layer[user] = std::max(layer[user], layer[v] + 1);
  }
  for (std::size_t v = vertices; v-- > 0;) {  // what has no origin stands right before its first user
    if (has_origin[v] || users[v].empty()) continue;
    std::size_t first = vertices;
    for (const std::size_t user : users[v]) first = std::min(first, layer[user]);
    layer[v] = first - 1;
  }
  return layer;
}

// Edges from one layer to the next. `chains` has, for each edge as it was given, the invisible vertices that it passes.
struct ShortEdges {
  Neighbors chains;
  Edges edges;

  // Appends the layers of the invisible vertices.
  ShortEdges(const Edges& given, std::vector<std::size_t>& layer) {
    for (const auto& [from, to] : given) {
      chains.emplace_back();
      std::size_t last = from;
      for (std::size_t l = layer[from] + 1; l < layer[to]; ++l) {
        chains.back().push_back(layer.size());
        edges.emplace_back(last, layer.size());
        last = layer.size();
        layer.push_back(l);
      }
      edges.emplace_back(last, to);
    }
  }
};

// The vertices of each layer, in order, and the slot of each vertex.
class Rows {
 public:
  Rows(const std::vector<std::size_t>& layer, std::size_t layers)
      : rows_(layers), slot_(layer.size()), wish_(layer.size()) {
    for (std::size_t v = 0; v < layer.size(); ++v) rows_[layer[v]].push_back(v);
    for (const auto& row : rows_) widest_ = std::max(widest_, row.size());
    for (const auto& row : rows_) spread(row);
  }
  std::size_t widest() const { return widest_; }
  double slot(std::size_t v) const { return slot_[v]; }

  // Sorts a row by the mean slot of each vertex's neighbors.
  void sort(std::size_t i, const Neighbors& neighbors) {
    auto& row = rows_[i];
    for (const std::size_t v : row) {
      double sum = 0;
      for (const std::size_t n : neighbors[v]) sum += slot_[n];
      wish_[v] = neighbors[v].empty() ? slot_[v] : sum / static_cast<double>(neighbors[v].size());
    }
    std::ranges::stable_sort(row, {}, [&](std::size_t v) { return wish_[v]; });
    spread(row);
  }

 private:
  void spread(const std::vector<std::size_t>& row) {  // in the middle of the widest layer
    for (std::size_t i = 0; i < row.size(); ++i) {
      slot_[row[i]] = static_cast<double>(i) + static_cast<double>(widest_ - row.size()) / 2;
    }
  }

  Neighbors rows_;
  std::vector<double> slot_, wish_;
  std::size_t widest_ = 0;
};

}  // namespace

Layout lay_out(std::size_t vertices, const std::vector<std::pair<std::size_t, std::size_t>>& edges) {
  std::vector<std::size_t> layer = layers_of(vertices, edges);
  const ShortEdges parts(edges, layer);
  Layout layout;
  layout.layers = layer.empty() ? 0 : *std::ranges::max_element(layer) + 1;

  Neighbors before(layer.size()), after(layer.size());
  for (const auto& [from, to] : parts.edges) {
    before[to].push_back(from);
    after[from].push_back(to);
  }
  Rows rows(layer, layout.layers);
  for (int sweep = 0; sweep < 8; ++sweep) {
    const bool forwards = sweep % 2 == 0;
    for (std::size_t i = 0; i < layout.layers; ++i) {
      rows.sort(forwards ? i : layout.layers - 1 - i, forwards ? before : after);
    }
  }

  layout.slots = static_cast<double>(rows.widest());
  for (std::size_t v = 0; v < vertices; ++v) layout.places.push_back({layer[v], rows.slot(v)});
  for (const auto& chain : parts.chains) {
    layout.paths.emplace_back();
    for (const std::size_t v : chain) layout.paths.back().push_back({layer[v], rows.slot(v)});
  }
  return layout;
}

}  // namespace gradus::detail
