// Three steps: layers by the longest way, one invisible vertex where an edge passes a layer, then sweeps in which each
// layer is sorted by the mean place of its neighbors.
#include <gradus/core/inspect/detail/graph_layout.h>

#include <algorithm>
#include <numeric>

namespace gradus::detail {

Layout lay_out(std::size_t vertices, const std::vector<std::pair<std::size_t, std::size_t>>& edges) {
  std::vector<std::size_t> layer(vertices, 0);
  std::vector<std::vector<std::size_t>> users(vertices);
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

  std::vector<std::vector<std::size_t>> chains;  // of each edge: the vertices, visible or not, that it passes
  std::vector<std::pair<std::size_t, std::size_t>> short_edges;
  for (const auto& [from, to] : edges) {
    chains.emplace_back();
    std::size_t last = from;
    for (std::size_t l = layer[from] + 1; l < layer[to]; ++l) {
      chains.back().push_back(layer.size());
      short_edges.emplace_back(last, layer.size());
      last = layer.size();
      layer.push_back(l);
    }
    short_edges.emplace_back(last, to);
  }

  Layout layout;
  layout.layers = layer.empty() ? 0 : *std::ranges::max_element(layer) + 1;
  std::vector<std::vector<std::size_t>> order(layout.layers), before(layer.size()), after(layer.size());
  for (std::size_t v = 0; v < layer.size(); ++v) order[layer[v]].push_back(v);
  for (const auto& [from, to] : short_edges) {
    before[to].push_back(from);
    after[from].push_back(to);
  }
  std::vector<double> slot(layer.size());
  std::size_t widest = 0;
  for (const auto& row : order) widest = std::max(widest, row.size());
  const auto spread = [&](const std::vector<std::size_t>& row) {  // in the middle of the widest layer
    for (std::size_t i = 0; i < row.size(); ++i) {
      slot[row[i]] = static_cast<double>(i) + static_cast<double>(widest - row.size()) / 2;
    }
  };
  for (const auto& row : order) spread(row);
  std::vector<double> wish(layer.size());
  for (int sweep = 0; sweep < 8; ++sweep) {
    const auto& neighbors = sweep % 2 == 0 ? before : after;
    for (std::size_t i = 0; i < layout.layers; ++i) {
      auto& row = order[sweep % 2 == 0 ? i : layout.layers - 1 - i];
      for (const std::size_t v : row) {
        double sum = 0;
        for (const std::size_t n : neighbors[v]) sum += slot[n];
        wish[v] = neighbors[v].empty() ? slot[v] : sum / static_cast<double>(neighbors[v].size());
      }
      std::ranges::stable_sort(row, {}, [&](std::size_t v) { return wish[v]; });
      spread(row);
    }
  }

  layout.slots = static_cast<double>(widest);
  for (std::size_t v = 0; v < vertices; ++v) layout.places.push_back({layer[v], slot[v]});
  for (const auto& chain : chains) {
    layout.paths.emplace_back();
    for (const std::size_t v : chain) layout.paths.back().push_back({layer[v], slot[v]});
  }
  return layout;
}

}  // namespace gradus::detail
