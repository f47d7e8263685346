// Ops of core/ops.h under the names that graph_ops.py gives them. An op with several forms has a name for each. "row"
// is any op, as a row of the op table has it.
#include <algorithm>

#include "../core/ops/op_table.h"
#include "registry.h"
#include "support.h"

namespace gradus::testing {

Tensor row_of_op_table(std::string_view name, const std::vector<Tensor>& inputs) {
  const std::string_view row_name = name.substr(0, name.find('@'));
  const auto row =
      std::find_if(op_table().begin(), op_table().end(), [&](const OpRow& known) { return known.name() == row_name; });
  check(row != op_table().end(), "the op table has no row '{}'", row_name);
  return row->f(inputs);
}

Registry ops() {
  return {
#define UNARY(name, y, dy, rule) GRADUS_ENTRY(#name, name(c[0])),
#define UNARY_FORM(name, y, dy, rule)
#include <gradus/core/kernels/unary.def>
#undef UNARY
#define BINARY(name, y, da, db, rule_a, rule_b) GRADUS_ENTRY(#name, name(c[0], c[1])),
#include <gradus/core/kernels/binary.def>
#undef BINARY
      GRADUS_ENTRY("row", row_of_op_table(c.text("row"), c.from(0))),
      GRADUS_ENTRY("gelu_erf", gelu(c[0])),
      GRADUS_ENTRY("gelu_tanh", gelu(c[0], Gelu::tanh)),
      GRADUS_ENTRY("pow_number", pow(c[0], c.number("exponent"))),
      GRADUS_ENTRY("clamp", clamp(c[0], c.number("low"), c.number("high"))),
      GRADUS_ENTRY("add_number", c[0] + c.number("number")),
      GRADUS_ENTRY("sub_from_number", c.number("number") - c[0]),
      GRADUS_ENTRY("mul_number", c[0] * c.number("number")),
      GRADUS_ENTRY("div_number", c[0] / c.number("number")),
      GRADUS_ENTRY("where", where(c[0], c[1], c[2])),
      GRADUS_ENTRY("reshape", reshape(c[0], c.shape("shape"))),
      GRADUS_ENTRY("permute", permute(c[0], c.indices("dims"))),
      GRADUS_ENTRY("transpose", transpose(c[0], c.index("dim0"), c.index("dim1"))),
      GRADUS_ENTRY("slice", slice(c[0], c.index("dim"), c.index("begin"), c.index("end"))),
      GRADUS_ENTRY("concat", concat(c.from(0), c.index("dim"))),
      GRADUS_ENTRY("stack", stack(c.from(0), c.index("dim"))),
      GRADUS_ENTRY("broadcast_to", broadcast_to(c[0], c.shape("shape"))),
      GRADUS_ENTRY("detach", c[0].detach()),
      GRADUS_ENTRY("to", c[0].to(DType::f64).to(c.dtype())),
      GRADUS_ENTRY("sum", sum(c[0])),
      GRADUS_ENTRY("sum_dims", sum(c[0], c.indices("dims"), c.flag("keepdim"))),
      GRADUS_ENTRY("mean", mean(c[0])),
      GRADUS_ENTRY("mean_dims", mean(c[0], c.indices("dims"), c.flag("keepdim"))),
      GRADUS_ENTRY("max", max(c[0])),
      GRADUS_ENTRY("max_dims", max(c[0], c.indices("dims"), c.flag("keepdim"))),
      GRADUS_ENTRY("var", var(c[0])),
      GRADUS_ENTRY("var_dims", var(c[0], c.indices("dims"), c.flag("keepdim"), c.number("correction"))),
      GRADUS_ENTRY("argmax", numbers(argmax(c[0], c.index("dim")), c.dtype())),
      GRADUS_ENTRY("matmul", matmul(c[0], c[1], c.flag("transpose_a"), c.flag("transpose_b"))),
      GRADUS_ENTRY("linear", linear(c[0], c[1], c[2])),
      GRADUS_ENTRY("softmax", softmax(c[0], c.index("dim"))),
      GRADUS_ENTRY("log_softmax", log_softmax(c[0], c.index("dim"))),
      GRADUS_ENTRY("layer_norm", layer_norm(c[0], c[1], c[2], c.number("eps"))),
      GRADUS_ENTRY("rms_norm", rms_norm(c[0], c[1], c.number("eps"))),
      GRADUS_ENTRY("embedding", embedding(c[0], c.ids("ids"), c.shape("ids_shape"))),
      GRADUS_ENTRY("dropout", (manual_seed(static_cast<std::uint64_t>(c.index("seed"))), dropout(c[0], c.number("p")))),
      GRADUS_ENTRY("cross_entropy",
                   cross_entropy(c[0], c.ids("targets"), static_cast<std::int32_t>(c.index("ignore_index")),
                                 c.number("label_smoothing"))),
      GRADUS_ENTRY("mse_loss", mse_loss(c[0], c[1])),
      GRADUS_ENTRY("l1_loss", l1_loss(c[0], c[1])),
      GRADUS_ENTRY("huber_loss", huber_loss(c[0], c[1], c.number("delta"))),
      GRADUS_ENTRY("binary_cross_entropy_with_logits", binary_cross_entropy_with_logits(c[0], c[1])),
      GRADUS_ENTRY("kl_div", kl_div(c[0], c[1])),
      GRADUS_ENTRY(
          "conv1d",
          conv1d(c[0], c[1], c[2],
                 {.stride = c.index("stride"), .padding = c.index("padding"), .dilation = c.index("dilation")})),
      GRADUS_ENTRY(
          "conv2d",
          conv2d(c[0], c[1], c[2],
                 {.stride = c.size2("stride"), .padding = c.size2("padding"), .dilation = c.size2("dilation")})),
      GRADUS_ENTRY("max_pool2d",
                   max_pool2d(c[0], c.size2("kernel"), {.stride = c.size2("stride"), .padding = c.size2("padding")})),
      GRADUS_ENTRY("avg_pool2d",
                   avg_pool2d(c[0], c.size2("kernel"), {.stride = c.size2("stride"), .padding = c.size2("padding")})),
      GRADUS_ENTRY("scaled_dot_product_attention",
                   (manual_seed(static_cast<std::uint64_t>(c.index("seed"))),
                    scaled_dot_product_attention(
                        c[0], c[1], c[2],
                        {.causal = c.flag("causal"),
                         .scale = c.number("scale"),
                         .dropout_p = c.number("p"),
                         .attn_mask = mask_of(c.indices("seen"), c[0].size(-2), c[1].size(-2), c.dtype()),
                         .attn_bias = c[3]}))),
      GRADUS_ENTRY("packed_attention", packed_attention(c[0], c.index("heads"), c.indices("lengths"),
                                                        {.causal = c.flag("causal"), .scale = c.number("scale")})),
  };
}

}  // namespace gradus::testing
