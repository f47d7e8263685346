// Pictures of graphs: what is in the boxes, and that a large graph collapses to its modules.
#include <gradus/core/inspect/detail/graph_layout.h>
#include <gradus/core/inspect/draw.h>
#include <gradus/core/ops.h>

#include <algorithm>
#include <limits>

#include "../../support.h"

namespace gradus::testing {
namespace {

std::ptrdiff_t count(const std::string& text, const std::string& part) {
  std::ptrdiff_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Draw, ShowsValuesAndGradientsOfASmallGraph) {
  const Tensor a = tensor(2).requires_grad(true), b = tensor(-3).requires_grad(true);
  const Tensor y = a * b + a;
  y.backward(true);
  const std::string dot = graph_dot(y, {{"a", a}, {"b<", b}});
  expect_contains(dot, "n0 [label=\"a\\nvalue 2\\ngrad -2\"");
  expect_contains(dot, "[label=\"mul\\nvalue -6\\ngrad 1\"");
  EXPECT_EQ(count(dot, "->"), 4);
  const std::string svg = graph_svg(y, {{"a", a}, {"b<", b}});
  EXPECT_EQ(count(svg, "<path d=\"M") - 1, 4);  // the arrowhead is one too
  expect_contains(svg, ">b&lt;<");
}

TEST(Draw, CollapsesALargeGraphByModule) {
  NamesOfTensors names;
  Tensor y = ones({2, 3});
  for (int layer = 0; layer < 6; ++layer) {
    names.emplace_back(fmt::format("net.{}.in.weight", layer), randn({3, 3}).requires_grad(true));
    y = tanh(linear(y, names.back().second));
    names.emplace_back(fmt::format("net.{}.out.weight", layer), randn({3, 3}).requires_grad(true));
    y = y + linear(y, names.back().second);
  }
  const std::string dot = graph_dot(sum(y), names, {.details = 8});
  EXPECT_EQ(count(dot, "fillcolor="), 7);  // six layers and the sum
  expect_contains(dot, "[label=\"net.3\\nlinear x2, tanh, add\\n18 parameters\"");
  EXPECT_EQ(count(graph_dot(sum(y), names, {.details = 13}), "fillcolor="), 13);  // in and out apart
}

TEST(Draw, ALossStandsInTheBoxOfTheLastModuleButForItsLastOp) {
  const NamesOfTensors names{{"in.weight", randn({3, 3}).requires_grad(true)},
                             {"out.weight", randn({3, 3}).requires_grad(true)}};
  const Tensor target = ones({2, 3});
  const Tensor y = linear(tanh(linear(ones({2, 3}), names[0].second)), names[1].second);
  const std::string dot = graph_dot(mean(exp(y - target)), names, {.details = 5});
  EXPECT_EQ(count(dot, "fillcolor="), 3);
  expect_contains(dot, "[label=\"in\\nlinear, tanh\\n");
  expect_contains(dot, "[label=\"out\\nlinear, sub, exp, sum\\n");
}

// A recurrent net by itself: its parameters' names have no dots, and it has many more ops than a picture can show.
TEST(Draw, CutsALargeGraphWithoutModulesIntoEqualPieces) {
  const Tensor weight = randn({3, 3}).requires_grad(true);
  Tensor h = ones({2, 3});
  for (int step = 0; step < 100; ++step) h = tanh(linear(h, weight));
  for (const NamesOfTensors& names : {NamesOfTensors{}, NamesOfTensors{{"weight_hh_l0", weight}}}) {
    const std::string dot = graph_dot(h, names, {.details = 8});
    EXPECT_EQ(count(dot, "fillcolor="), 8);
    EXPECT_EQ(count(dot, "->"), 7);
    expect_contains(dot, "[label=\"ops 26 .. 50\\ntanh x13, linear x12");
    EXPECT_EQ(count(dot, "9 parameters"), names.empty() ? 0 : 8);
  }
  const Tensor x = exp(h.detach().requires_grad(true));
  expect_contains(graph_dot(sum(x * x), {}, {.details = 3}), "[label=\"exp\"");  // an op to a piece
}

TEST(Draw, KeepsToItsNumberOfBoxesWhereModulesAlternate) {
  const NamesOfTensors names{{"a.weight", randn({3, 3}).requires_grad(true)},
                             {"b.weight", randn({3, 3}).requires_grad(true)}};
  Tensor h = ones({2, 3});
  for (int step = 0; step < 100; ++step) h = linear(h, names[static_cast<std::size_t>(step % 2)].second);
  EXPECT_EQ(count(graph_dot(h, names, {.details = 10}), "fillcolor="), 10);
}

TEST(Draw, CountsWhatIsNotANumber) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const auto picture = [](std::initializer_list<double> values) {
    return graph_dot(exp(tensor(values).requires_grad(true)));
  };
  expect_contains(picture({1, 2, 3, nan, 5, 6}), "value 1 .. 6, 1 NaN\"");
  expect_contains(picture({nan, 2, -infinity, nan, 5, 6}), "value -inf .. 6, 2 NaN\"");
  expect_contains(picture({nan, nan, nan, nan, nan}), "value 5 NaN\"");
  expect_contains(picture({1, 2, 3, 4, 5, 6}), "value 1 .. 6\"");
}

TEST(Draw, SaysWhenThereIsNothingToDraw) {
  EXPECT_EQ(
      error_of([] { graph_svg(ones({2})); }),
      "draw_graph: nothing was recorded behind this tensor, or its graph was released; draw before backward(), or "
      "call backward(retain_graph = true)");
}

TEST(Draw, WritesTheLanguageOfTheEnding) {
  const TempFolder folder;
  const Tensor y = exp(ones({2}).requires_grad(true));
  for (const char* name : {"y.svg", "y.dot"}) draw_graph(y, (folder / name).string());
  EXPECT_TRUE(read(folder / "y.svg").starts_with("<svg"));
  EXPECT_TRUE(read(folder / "y.dot").starts_with("digraph"));
  expect_contains(error_of([&] { draw_graph(y, (folder / "no/y.svg").string()); }), "cannot write");
}

TEST(Layout, EdgesLeadToLaterLayersAndNothingSharesAPlace) {
  const std::vector<std::pair<std::size_t, std::size_t>> edges{{0, 2}, {1, 2}, {2, 3}, {0, 4}, {3, 4}};
  const detail::Layout layout = detail::lay_out(5, edges);
  for (const auto& [from, to] : edges) EXPECT_LT(layout.places[from].layer, layout.places[to].layer);
  EXPECT_EQ(layout.paths[3].size(), 2U);  // 0 -> 4 passes two layers
  for (std::size_t a = 0; a < 5; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      EXPECT_FALSE(layout.places[a].layer == layout.places[b].layer && layout.places[a].slot == layout.places[b].slot);
    }
  }
}

}  // namespace
}  // namespace gradus::testing
