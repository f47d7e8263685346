// Layers for the picture of a graph: each vertex lies one layer after the last of its inputs, or right before its first
// user if it has none; vertices of a layer are ordered for few crossings (Sugiyama, Tagawa & Toda 1981).
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace gradus::detail {

struct Layout {
  struct Place {
    std::size_t layer = 0;
    double slot = 0;  // along the layer, from 0
  };
  std::vector<Place> places;              // of each vertex
  std::vector<std::vector<Place>> paths;  // of each edge: where it passes the layers between its ends
  std::size_t layers = 0;
  double slots = 0;  // of the widest layer
};

/// `edges` lead from a vertex to one with a higher number.
Layout lay_out(std::size_t vertices, const std::vector<std::pair<std::size_t, std::size_t>>& edges);

}  // namespace gradus::detail
