#include "../op_table.h"

#include <algorithm>
#include <cmath>

namespace gradus::testing {
namespace {

std::vector<Index> ragged(Index rows) {  // 0, 1, 2, 5, 53, 11, 0, then the rest
  std::vector<Index> lengths;
  for (const Index length : {0, 1, 2, 5, 53, 11, 0}) {
    lengths.push_back(std::min<Index>(length, rows));
    rows -= lengths.back();
  }
  while (rows > 0) {
    lengths.push_back(std::min<Index>(17, rows));
    rows -= lengths.back();
  }
  return lengths;
}

void add_attention(std::vector<OpRow>& rows) {
  struct Attention {
    const char* variant;
    Shape q, k, v;
    bool causal;
    double scale = 0;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
  };
  const Attention attentions[] = {
      {"plain",
       {2, 5, 4},
       {2, 5, 4},
       {2, 5, 4},
       false,
       0,
       GRADUS_SIZED({2, 3, n}, {2, 3, n}, {2, 3, n}),
       {{40, 60, 16}, {40, 60, 16}, {40, 60, 16}}},
      {"causal",
       {2, 5, 4},
       {2, 5, 4},
       {2, 5, 4},
       true,
       0,
       GRADUS_SIZED({2, 3, n}, {2, 3, n}, {2, 3, n}),
       {{40, 60, 16}, {40, 60, 16}, {40, 60, 16}}},
      {"length", {1, 3, 2}, {1, 3, 2}, {1, 3, 2}, false, 0, GRADUS_SIZED({1, n, 2}, {1, n, 2}, {1, n, 2})},
      {"causal_length", {1, 3, 2}, {1, 3, 2}, {1, 3, 2}, true, 0, GRADUS_SIZED({1, n, 2}, {1, n, 2}, {1, n, 2})},
      {"more_keys", {2, 3, 4}, {2, 7, 4}, {2, 7, 4}, false, 0, GRADUS_SIZED({1, 3, 4}, {1, n, 4}, {1, n, 4})},
      {"more_keys_causal",
       {2, 3, 4},
       {2, 7, 4},
       {2, 7, 4},
       true,
       0,
       GRADUS_SIZED({1, 3, 4}, {1, n + 2, 4}, {1, n + 2, 4})},
      {"fewer_keys_causal", {2, 7, 4}, {2, 3, 4}, {2, 3, 4}, true},
      {"other_value_size", {2, 3, 4}, {2, 5, 4}, {2, 5, 6}, false, 0, GRADUS_SIZED({1, 3, 4}, {1, 3, 4}, {1, 3, n})},
      {"head_size_1", {2, 5, 1}, {2, 5, 1}, {2, 5, 1}, true},
      {"head_size_17", {1, 5, 17}, {1, 5, 17}, {1, 5, 17}, true},
      {"matrices", {5, 4}, {5, 4}, {5, 4}, true},
      {"four_dimensions_and_scale", {2, 3, 4, 4}, {2, 3, 4, 4}, {2, 3, 4, 2}, true, 0.7},
      {"many_rows", {1, 61, 4}, {1, 61, 4}, {1, 61, 4}, false},
      {"many_rows_causal", {1, 115, 4}, {1, 115, 4}, {1, 115, 4}, true},
      {"many_rows_and_more_keys_causal", {1, 55, 3}, {1, 76, 3}, {1, 76, 35}, true},
      {"many_rows_and_fewer_keys_causal", {1, 115, 3}, {1, 60, 3}, {1, 60, 2}, true},
  };
  for (const Attention& a : attentions) {
    const AttentionOptions options{.causal = a.causal, .scale = a.scale};
    rows.push_back({.op = "scaled_dot_product_attention",
                    .variant = a.variant,
                    .shapes = {a.q, a.k, a.v},
                    .f = [options](In x) { return scaled_dot_product_attention(x[0], x[1], x[2], options); },
                    .reference =
                        [options](Arrays x) {
                          const double scale =
                              options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(x[0].shape[-1]));
                          return ref::attention(x[0], x[1], x[2], options.causal, scale);
                        },
                    .sized = a.sized,
                    .large = a.large,
                    .torch = fmt::format("attention(x[0], x[1], x[2], {}, {})", a.causal ? "True" : "False", a.scale),
                    .torch_sizes = {1, 17},
                    .limits = {10, 32},
                    .f32_tolerance = 5e-6,
                    .f32_grad_tolerance = 3e-5,  // sums over queries and keys
                    .gradcheck_step = 1e-5});    // the same sums drown differences of a smaller step
  }
  struct Packed {
    const char* variant;
    Shape qkv;
    Index heads;
    bool causal;
    double scale = 0;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
  };
  const Packed packs[] = {
      {"ragged", {77, 12}, 2, true, 0, GRADUS_SIZED({9, 6 * n}), {{700, 48}}},
      {"not_causal", {77, 12}, 2, false, 0, {}, {{700, 48}}},
      {"rows", {9, 6}, 1, true, 0.6, GRADUS_SIZED({n, 6})},
      {"head_size_1", {9, 9}, 3, true},
      {"head_size_17", {9, 51}, 1, true},
      {"one_token", {1, 6}, 2, true},
  };
  for (const Packed& p : packs) {
    const AttentionOptions options{.causal = p.causal, .scale = p.scale};
    rows.push_back(
        {.op = "packed_attention",
         .variant = p.variant,
         .shapes = {p.qkv},
         .f = [heads = p.heads, options](In x) { return packed_attention(x[0], heads, ragged(x[0].size(0)), options); },
         .reference =
             [heads = p.heads, options](Arrays x) {
               const double size = static_cast<double>(x[0].shape[1]) / (3.0 * static_cast<double>(heads));
               const double scale = options.scale != 0 ? options.scale : 1 / std::sqrt(size);
               return ref::packed_attention(x[0], heads, ragged(x[0].shape[0]), options.causal, scale);
             },
         .sized = p.sized,
         .large = p.large,
         .torch = fmt::format("packed_attention(x[0], {}, ragged(x[0].size(0)), {}, {})", p.heads,
                              p.causal ? "True" : "False", p.scale),
         .limits = {8, 16},
         .f32_tolerance = 5e-6,
         .f32_grad_tolerance = 3e-5});
  }
}

const AddRows attention_rows("attention", add_attention);

}  // namespace
}  // namespace gradus::testing
