// First the graph becomes boxes and arrows: one box for each vertex, or for each run of consecutive ops (of a module,
// or of a fixed number). Then they are laid out and written. An op belongs to the module of its parameter, or else to
// that of its newest input.
#include <gradus/core/inspect/draw.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <gradus/core/inspect/detail/graph_layout.h>

namespace gradus {
namespace {

enum class Look { op, parameter, leaf, module, result };

struct Box {
  std::string title;
  std::vector<std::string> lines;
  Look look;
};

struct Picture {
  std::vector<Box> boxes;
  std::vector<std::pair<std::size_t, std::size_t>> arrows;  // from an older to a newer box
  std::vector<std::string> labels;                          // of the arrows
};

using Nodes = std::vector<const Node*>;
using Names = std::unordered_map<const Node*, std::string>;

// Everything that y was computed from, oldest first.
Nodes collect(const Tensor& y) {
  check(
      !y.node().inputs.empty(),
      "draw_graph: nothing was recorded behind this tensor, or its graph was released; draw before backward(), or call "
      "backward(retain_graph = true)");
  Nodes nodes{&y.node()};
  std::unordered_set<const Node*> seen{nodes[0]};
  for (std::size_t next = 0; next < nodes.size(); ++next) {
    const Node& node = *nodes[next];
    for (const NodePtr& input : node.inputs) {
      if (input != nullptr && seen.insert(input.get()).second) nodes.push_back(input.get());
    }
  }
  std::ranges::sort(nodes, {}, &Node::id);
  return nodes;
}

// Up to four numbers, or the range of more, and how many are NaN, which no range shows.
std::string described(const Node& node, const Buffer& buffer) {
  return dispatch(node.dtype, [&]<class T>() -> std::string {
    const std::span<const T> values(buffer.as<T>(), static_cast<std::size_t>(node.numel()));
    if (values.empty()) return "empty";
    if (values.size() <= 4) {
      std::string text;
      for (const T value : values) text += fmt::format("{}{:.4g}", text.empty() ? "" : ", ", shown(value));
      return text;
    }
    T low = std::numeric_limits<T>::infinity(), high = -low;
    std::size_t nans = 0;
    for (const T value : values) {
      nans += std::isnan(value) ? 1 : 0;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (nans == values.size()) return fmt::format("{} NaN", nans);
    return fmt::format("{:.3g} .. {:.3g}{}", low, high, nans == 0 ? "" : fmt::format(", {} NaN", nans));
  });
}

Picture vertex_picture(const Nodes& nodes, const Names& names) {
  Picture picture;
  std::unordered_map<const Node*, std::size_t> number;
  for (const Node* node : nodes) {
    const auto name = names.find(node);
    Box box{node->op, {}, Look::op};
    if (name != names.end()) {
      box.title = name->second;
    } else if (node->inputs.empty()) {
      box.title = node->numel() == 1 && !node->requires_grad ? "constant" : "input";
    }
    if (node->inputs.empty()) box.look = node->requires_grad ? Look::parameter : Look::leaf;
    if (node == nodes.back()) box.look = Look::result;
    if (node->numel() != 1) box.lines.push_back(to_string(node->shape));
    box.lines.push_back("value " + described(*node, node->data));
    if (node->grad) box.lines.push_back("grad " + described(*node, node->grad));
    number[node] = picture.boxes.size();
    picture.boxes.push_back(std::move(box));
    for (const NodePtr& input : node->inputs) {
      if (input != nullptr) picture.arrows.emplace_back(number.at(input.get()), number.at(node));
    }
  }
  picture.labels.resize(picture.arrows.size());
  return picture;
}

std::string first_parts(const std::string& path, std::size_t count) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    at = path.find('.', at);
    if (at == std::string::npos) return path;
    ++at;
  }
  return count == 0 ? "" : path.substr(0, at - 1);
}

// The module of each op: that of its parameter, else that of its newest input.
class Modules {
 public:
  explicit Modules(const Names& names) : names_(names) {}

  struct Found {
    std::string name;
    bool by_parameter;
  };
  Found find(const Node* op) {  // ops in the order they ran
    Found found{"", false};
    const Node* newest = nullptr;
    for (const NodePtr& input : op->inputs) {
      if (input == nullptr) continue;
      if (const auto name = names_.find(input.get()); name != names_.end()) {
        const std::size_t dot = name->second.rfind('.');
        found = {dot == std::string::npos ? "" : name->second.substr(0, dot), true};
        break;
      }
      if (newest == nullptr || input->id > newest->id) newest = input.get();
    }
    if (!found.by_parameter && newest != nullptr) found.name = of_[newest];
    of_[op] = found.name;
    return found;
  }

 private:
  const Names& names_;
  std::unordered_map<const Node*, std::string> of_;
};

// Consecutive ops that share a box.
struct Group {
  std::string title;  // the module, or which ops; empty for ops of no module
  std::vector<std::pair<std::string, int>> ops;
  std::set<const Node*> parameters;

  void add(const Node* node) {
    const auto same = std::ranges::find(ops, std::string(node->op), &std::pair<std::string, int>::first);
    if (same == ops.end()) {
      ops.emplace_back(node->op, 1);
    } else {
      ++same->second;
    }
  }
};

Box group_box(const Group& group, bool one_op) {
  Box box{one_op ? group.ops.back().first : group.title, {}, one_op ? Look::op : Look::module};
  std::string line;
  for (const auto& [op, count] : group.ops) {
    if (one_op && group.ops.size() == 1 && count == 1) break;
    const std::string word = count == 1 ? op : fmt::format("{} x{}", op, count);
    if (!line.empty() && line.size() + word.size() > 34) box.lines.push_back(std::exchange(line, {}));
    line += (line.empty() ? "" : ", ") + word;
  }
  if (!line.empty()) box.lines.push_back(line);
  Index count = 0;
  for (const Node* parameter : group.parameters) count += parameter->numel();
  if (count > 0) box.lines.push_back(fmt::format("{} parameters", count));
  return box;
}

// Puts consecutive ops into a box: those of one module, by the first `depth` parts of its name; or, if `pieces` is not
// 0, the ops are cut into that many boxes of equal length.
Picture grouped_picture(const Nodes& nodes, const Names& names, std::size_t depth, std::size_t pieces = 0) {
  std::vector<Group> groups;
  Modules modules(names);
  std::unordered_map<const Node*, std::size_t> group_of;
  std::map<std::pair<std::size_t, std::size_t>, std::string> arrows;
  const auto is_op = [](const Node* node) { return !node->inputs.empty(); };
  const auto all_ops = static_cast<std::size_t>(std::ranges::count_if(nodes, is_op));
  const std::size_t length = pieces == 0 ? 0 : (all_ops + pieces - 1) / pieces;
  std::size_t op_number = 0;
  for (const Node* node : nodes) {
    if (!is_op(node)) continue;
    const auto [module, by_parameter] = modules.find(node);
    std::string key = node == nodes.back() && !by_parameter ? "" : first_parts(module, depth);
    if (length > 0) {
      const std::size_t first = op_number / length * length;
      key = fmt::format("ops {} .. {}", first + 1, std::min(first + length, all_ops));
    }
    ++op_number;
    if (groups.empty() || groups.back().title != key) groups.push_back({key, {}, {}});
    Group& group = groups.back();
    group.add(node);
    group_of[node] = groups.size() - 1;
    for (const NodePtr& input : node->inputs) {
      if (input == nullptr) continue;
      if (names.contains(input.get())) group.parameters.insert(input.get());
      if (const auto from = group_of.find(input.get()); from != group_of.end() && from->second != groups.size() - 1) {
        arrows.emplace(std::pair(from->second, groups.size() - 1), to_string(input->shape));
      }
    }
  }
  Picture picture;
  for (const Group& group : groups) picture.boxes.push_back(group_box(group, group.title.empty() || length == 1));
  picture.boxes.back().look = Look::result;
  if (nodes.back()->numel() == 1)
    picture.boxes.back().lines.push_back("value " + described(*nodes.back(), nodes.back()->data));
  for (const auto& [ends, label] : arrows) {
    picture.arrows.push_back(ends);
    picture.labels.push_back(label);
  }
  return picture;
}

struct Chosen {
  Picture picture;
  bool grouped;
};

Chosen choose(const Tensor& y, const NamesOfTensors& named, const DrawOptions& options) {
  check(options.details > 0, "draw_graph: at most {} boxes; there must be at least 1", options.details);
  const Nodes nodes = collect(y);
  Names names;
  std::size_t deepest = 0;
  for (const auto& [name, tensor] : named) {
    names.emplace(&tensor.node(), name);
    deepest = std::max(deepest, static_cast<std::size_t>(std::ranges::count(name, '.')));
  }
  const auto most = static_cast<std::size_t>(options.details);
  if (nodes.size() <= most) return {vertex_picture(nodes, names), false};
  for (std::size_t depth = deepest; depth > 0; --depth) {
    Picture picture = grouped_picture(nodes, names, depth);
    if (picture.boxes.size() <= most) return {std::move(picture), true};
  }
  return {grouped_picture(nodes, names, 0, most), true};
}

const char* fill_of(Look look) {
  switch (look) {
    case Look::op:
      return "#eef1f6";
    case Look::parameter:
      return "#fdf0d5";
    case Look::leaf:
      return "#ffffff";
    case Look::module:
      return "#e3eefb";
    case Look::result:
      return "#dff3e4";
  }
  return "#ffffff";
}

std::string escaped(const std::string& text, bool dot) {
  std::string safe;
  for (const char c : text) {
    if (dot) {
      if (c == '"' || c == '\\') safe += '\\';
      safe += c;
    } else {
      safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
    }
  }
  return safe;
}

// Places boxes and arrows on the page, and writes them as SVG.
class Page {
 public:
  Page(const Picture& picture, bool down)
      : picture_(picture), layout_(detail::lay_out(picture.boxes.size(), picture.arrows)), down_(down) {
    std::size_t letters = 8, most_lines = 0;
    for (const Box& box : picture.boxes) {
      letters = std::max(letters, box.title.size() + 1);
      for (const std::string& line : box.lines) letters = std::max(letters, line.size());
      most_lines = std::max(most_lines, box.lines.size());
    }
    wide_ = 7.0 * static_cast<double>(letters) + 20, high_ = 16.0 * static_cast<double>(most_lines) + 30;
    slot_step_ = down ? wide_ + 30 : high_ + 18, layer_step_ = down ? high_ + 40 : wide_ + 50;
  }

  std::string svg() const {
    double width = layout_.slots * slot_step_ + 2 * margin - (down_ ? 30 : 18);
    double height = static_cast<double>(layout_.layers) * layer_step_ + 2 * margin - (down_ ? 40 : 50);
    if (!down_) std::swap(width, height);
    std::string svg = fmt::format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}")"
        R"( font-family="ui-monospace, Menlo, Consolas, monospace" font-size="11.5"><defs><marker id="tip" )"
        R"(viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path )"
        R"(d="M0 0 8 4 0 8z" fill="#7a869a"/></marker></defs><rect width="100%" height="100%" fill="#fff"/>)"
        "\n",
        width, height);
    for (std::size_t i = 0; i < picture_.arrows.size(); ++i) svg += arrow(i);
    for (std::size_t i = 0; i < picture_.boxes.size(); ++i) svg += box(i);
    return svg + "</svg>\n";
  }

 private:
  static constexpr double margin = 20;

  std::pair<double, double> center(const detail::Layout::Place& place) const {
    const double along = margin + (place.slot + 0.5) * slot_step_ - (down_ ? 15 : 9);
    const double across = margin + static_cast<double>(place.layer) * layer_step_ + (down_ ? high_ : wide_) / 2;
    return down_ ? std::pair(along, across) : std::pair(across, along);
  }
  static double height_of(const Box& box) { return 16.0 * static_cast<double>(box.lines.size()) + 30; }

  std::string arrow(std::size_t i) const {
    const auto [from, to] = picture_.arrows[i];
    const auto start = center(layout_.places[from]);
    double x = start.first, y = start.second;
    (down_ ? y : x) += (down_ ? height_of(picture_.boxes[from]) : wide_) / 2;
    std::string path = fmt::format("M{:.1f} {:.1f}", x, y);
    const auto curve_to = [&](double x1, double y1) {
      const double mx = (x + x1) / 2, my = (y + y1) / 2;
      path += down_ ? fmt::format(" C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", x, my, x1, my, x1, y1)
                    : fmt::format(" C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", mx, y, mx, y1, x1, y1);
      x = x1, y = y1;
    };
    for (const detail::Layout::Place& place : layout_.paths[i]) {  // straight through the layers on the way
      const auto [cx, cy] = center(place);
      curve_to(down_ ? cx : cx - wide_ / 2, down_ ? cy - high_ / 2 : cy);
      path += down_ ? fmt::format(" V{:.1f}", cy + high_ / 2) : fmt::format(" H{:.1f}", cx + wide_ / 2);
      (down_ ? y : x) += down_ ? high_ : wide_;
    }
    const auto [ex, ey] = center(layout_.places[to]);
    const double label_x = x, label_y = y;
    curve_to(down_ ? ex : ex - wide_ / 2, down_ ? ey - height_of(picture_.boxes[to]) / 2 : ey);
    std::string svg = fmt::format(R"x(<path d="{}" fill="none" stroke="#7a869a" marker-end="url(#tip)"/>)x"
                                  "\n",
                                  path);
    if (!picture_.labels[i].empty()) {
      svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" fill="#7a869a" font-size="10">{}</text>)"
                         "\n",
                         (label_x + x) / 2 + 6, (label_y + y) / 2 + 3, escaped(picture_.labels[i], false));
    }
    return svg;
  }

  std::string box(std::size_t i) const {
    const Box& box = picture_.boxes[i];
    const auto [x, cy] = center(layout_.places[i]);
    const double top = cy - height_of(box) / 2;
    std::string svg = fmt::format(
        R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="6" fill="{}" )"
        R"(stroke="#9aa7bb"/><text x="{:.1f}" y="{:.1f}" text-anchor="middle" font-weight="bold" )"
        R"(fill="#1f2d3d">{}</text>)",
        x - wide_ / 2, top, wide_, height_of(box), fill_of(box.look), x, top + 19, escaped(box.title, false));
    for (std::size_t l = 0; l < box.lines.size(); ++l) {
      svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle" fill="#44546a">{}</text>)", x,
                         top + 36 + 16 * static_cast<double>(l), escaped(box.lines[l], false));
    }
    return svg + "\n";
  }

  const Picture& picture_;
  detail::Layout layout_;
  bool down_;  // the way that layers follow one another
  double wide_, high_, slot_step_, layer_step_;
};

}  // namespace

std::string graph_svg(const Tensor& y, const NamesOfTensors& names, DrawOptions options) {
  const auto [picture, grouped] = choose(y, names, options);
  // Small graphs run from left to right, as one reads a formula; grouped ones downwards, as one scrolls.
  return Page(picture, grouped).svg();
}

std::string graph_dot(const Tensor& y, const NamesOfTensors& names, DrawOptions options) {
  const auto [picture, grouped] = choose(y, names, options);
  std::string dot = fmt::format(
      "digraph gradus {{\n  rankdir={};\n  node [shape=box, style=\"rounded,filled\", "
      "fontname=monospace];\n",
      grouped ? "TB" : "LR");
  for (std::size_t i = 0; i < picture.boxes.size(); ++i) {
    std::string label = escaped(picture.boxes[i].title, true);
    for (const std::string& line : picture.boxes[i].lines) label += "\\n" + escaped(line, true);
    dot += fmt::format("  n{} [label=\"{}\", fillcolor=\"{}\"];\n", i, label, fill_of(picture.boxes[i].look));
  }
  for (std::size_t i = 0; i < picture.arrows.size(); ++i) {
    dot += fmt::format("  n{} -> n{} [label=\"{}\"];\n", picture.arrows[i].first, picture.arrows[i].second,
                       escaped(picture.labels[i], true));
  }
  return dot + "}\n";
}

void draw_graph(const Tensor& y, const std::string& path, const NamesOfTensors& names, DrawOptions options) {
  const bool dot = path.ends_with(".dot") || path.ends_with(".gv");
  const std::string text = dot ? graph_dot(y, names, options) : graph_svg(y, names, options);
  std::ofstream file(path);
  file << text;
  check(file.flush().good(), "draw_graph: cannot write '{}'; check the folder and its permissions", path);
}

}  // namespace gradus
