// Wrong calls of modules, optimizers, files and what surrounds them, each with the exact text of its error.
#include <gradus/gradus.h>

#include <cmath>
#include <functional>

#include "support.h"

namespace gradus::testing {
namespace {

struct WrongCall {
  const char* name;
  std::function<void()> call;
  std::string text;
};

using Ids = std::vector<std::int32_t>;

Tensor made(const Shape& shape) {
  return ones(shape);
}
std::vector<Tensor> leaf() {
  return {nn::parameter(ones({2}))};
}
std::vector<Tensor> twice() {
  const Tensor p = nn::parameter(ones({2}));
  return {p, p};
}

const std::vector<WrongCall>& wrong_calls() {
  using namespace nn;
  static const std::vector<WrongCall> calls{
      {"Linear_sizes", [] { Linear(0, 3); }, "Linear: sizes 0 -> 3; both must be at least 1"},
      {"Linear_input",
       [] {
         Linear(3, 4)(made({2, 5}));
       },
       "linear: x (2, 5) and weight (4, 3) do not fit: weight must be (out, in) with `in` the last size of x"},
      {"LayerNorm_width",
       [] {
         LayerNorm(4)(made({2, 3}));
       },
       "LayerNorm: x (2, 3) does not fit; its last size must be 4, the width given at construction"},
      {"LayerNorm_eps", [] { LayerNorm(4, {.eps = -1}); },
       "LayerNorm: eps -1; it must be a small number of at least 0"},
      {"RMSNorm_width",
       [] {
         RMSNorm(4)(made({2, 3}));
       },
       "RMSNorm: x (2, 3) does not fit; its last size must be 4, the width given at construction"},
      {"Dropout_probability", [] { nn::Dropout(1); }, "Dropout: probability 1; it must be at least 0 and below 1"},
      {"Embedding_sizes", [] { Embedding(0, 3); }, "Embedding: 0 rows of 3 numbers; both must be at least 1"},
      {"Embedding_id", [] { Embedding(3, 2)(Ids{3}); },
       "embedding: id 3 is outside the table (3, 2); ids must be 0 .. 2"},
      {"Attention_heads", [] { CausalSelfAttention(10, 3); },
       "CausalSelfAttention: width 10 cannot be split into 3 heads; n_embd must be a positive multiple of n_head"},
      {"Attention_input", [] { CausalSelfAttention(4, 2)(made({4})); },
       "CausalSelfAttention: x (4) must be (batch, time, width) or (time, width)"},
      {"MultiHeadAttention_batch",
       [] {
         MultiHeadAttention(4, 2)(made({2, 3, 4}), made({1, 3, 4}));
       },
       "MultiHeadAttention: query (2, 3, 4) and memory (1, 3, 4) must be (batch, time, width) with the same batch"},
      {"Sequential_layer", [] { Sequential{nn::ReLU()}[1]; }, "Sequential: there is no layer 1 among 1; use -1 .. 0"},
      {"Conv1d_sizes", [] { Conv1d(3, 0, 3); },
       "Conv1d: a weight of (0, 3, 3) (out, in, kernel); every size must be at least 1"},
      {"Conv2d_input",
       [] {
         Conv2d(3, 4, 3)(made({2, 1, 8, 8}));
       },
       "conv2d: x (2, 1, 8, 8) and weight (4, 3, 3, 3) must be (batch, in, height, width) and (out, in, height, width) "
       "with the same in; one image needs a batch of 1"},
      {"MaxPool2d_stride",
       [] {
         MaxPool2d(2, {.stride = {1, 0}})(made({8, 8}));
       },
       "max_pool2d: a stride of 1 x 0; both must be at least 1"},
      {"Conv1d_groups", [] { Conv1d(3, 4, 3, {.groups = 2}); },
       "Conv1d: 2 groups for 3 inputs and 4 outputs; there must be at least 1, and they must divide both"},
      {"Conv2d_no_groups", [] { Conv2d(3, 3, 3, {.groups = 0}); },
       "Conv2d: 0 groups for 3 inputs and 3 outputs; there must be at least 1, and they must divide both"},
      {"Conv2d_grouped_input",
       [] {
         Conv2d(4, 4, 3, {.groups = 2})(made({2, 3, 8, 8}));
       },
       "conv2d: x (2, 3, 8, 8) and weight (4, 2, 3, 3) with 2 groups must be (batch, in, height, width) and (out, in / "
       "groups, height, width), in and out being multiples of groups; one image needs a batch of 1"},
      {"Conv2d_same_with_a_stride",
       [] {
         Conv2d(1, 1, 3, {.stride = {1, 2}, .padding = Padding::same})(made({1, 1, 8, 8}));
       },
       "conv2d: padding \"same\" with a stride of 1 x 2; it needs a stride of 1, so give the padding in numbers"},
      {"Conv1d_same_with_a_stride",
       [] {
         Conv1d(1, 1, 3, {.stride = 2, .padding = Padding::same})(made({1, 1, 8}));
       },
       "conv1d: padding \"same\" on x (1, 1, 8) with a stride of 2; it needs a stride of 1, and a length of at least "
       "1"},
      {"Conv2d_same_far",
       [] {
         Conv2d(1, 1, 3, {.padding = Padding::same, .dilation = {1, Index{1} << 62}})(made({1, 1, 8, 8}));
       },
       "conv2d: padding \"same\" for a kernel of 3 x 3 with dilation 1 x 4611686018427387904 on x (1, 1, 8, 8); height "
       "and width of x must be at least 1, and dilation times kernel must fit in 61 bits"},
      {"ConvTranspose1d_sizes", [] { ConvTranspose1d(3, 4, 0); },
       "ConvTranspose1d: a weight of (3, 4, 0) (in, out, kernel); every size must be at least 1"},
      {"ConvTranspose1d_output_padding",
       [] {
         ConvTranspose1d(1, 1, 3, {.stride = 2, .output_padding = 2})(made({1, 1, 4}));
       },
       "conv_transpose1d: an output_padding of 2 with stride 2 and dilation 1; it must be at least 0 and less than "
       "stride or dilation"},
      {"ConvTranspose1d_padding",
       [] {
         ConvTranspose1d(1, 1, 2, {.padding = 2})(made({1, 1, 3}));
       },
       "conv_transpose1d: x (1, 1, 3) with a kernel of 2 and padding 2 leaves no result, or one too large; the length "
       "must be at least 1; pad less"},
      {"ConvTranspose2d_groups", [] { ConvTranspose2d(4, 3, 2, {.groups = 2}); },
       "ConvTranspose2d: 2 groups for 4 inputs and 3 outputs; there must be at least 1, and they must divide both"},
      {"ConvTranspose2d_input",
       [] {
         ConvTranspose2d(3, 4, 2)(made({1, 4, 5, 5}));
       },
       "conv_transpose2d: x (1, 4, 5, 5) and weight (3, 4, 2, 2) with 1 groups must be (batch, in, height, width) and "
       "(in, out / groups, height, width) with the same in, a multiple of groups; one image needs a batch of 1"},
      {"ConvTranspose2d_output_padding",
       [] {
         ConvTranspose2d(1, 1, 2, {.output_padding = {0, 1}})(made({1, 1, 5, 5}));
       },
       "conv_transpose2d: an output_padding of 0 x 1 with stride 1 x 1 and dilation 1 x 1; it must be at least 0 and "
       "less than stride or dilation"},
      {"ConvTranspose2d_padding",
       [] {
         ConvTranspose2d(1, 1, 2, {.padding = 3})(made({1, 1, 5, 5}));
       },
       "conv_transpose2d: x (1, 1, 5, 5) with a kernel of 2 x 2 and padding 3 x 3 leaves no result, or one too large; "
       "height and width of x must be at least 1; pad less"},
      {"ConvTranspose2d_bias",
       [] {
         conv_transpose2d(made({1, 2, 3, 3}), made({2, 3, 2, 2}), made({3}), {.groups = 2});
       },
       "conv_transpose2d: bias (3) must be (6), the groups times the second size of weight (2, 3, 2, 2)"},
      {"MaxPool1d_kernel",
       [] {
         MaxPool1d(5)(made({2, 4}));
       },
       "max_pool1d: a kernel of 5 does not fit on x (2, 4) with padding 0; pad more, or take a smaller kernel"},
      {"MaxPool1d_empty",
       [] {
         MaxPool1d(1)(made({2, 0}));
       },
       "max_pool1d: x (2, 0) must be (.., length), with a length of at least 1"},
      {"AvgPool1d_padding",
       [] {
         AvgPool1d(3, {.padding = 2})(made({2, 4}));
       },
       "avg_pool1d: a padding of 2 for a kernel of 3; it must be from 0 to half the kernel"},
      {"AvgPool1d_stride",
       [] {
         AvgPool1d(3, {.stride = -1})(made({2, 4}));
       },
       "avg_pool1d: a stride of -1; it must be at least 1, or 0 for the kernel's size"},
      {"AdaptiveAvgPool1d_size",
       [] {
         AdaptiveAvgPool1d(0)(made({2, 4}));
       },
       "adaptive_avg_pool1d: a size of 0; it must be at least 1"},
      {"AdaptiveAvgPool2d_rank", [] { AdaptiveAvgPool2d(1)(made({4})); },
       "adaptive_avg_pool2d: x (4) must be (.., height, width)"},
      {"AdaptiveMaxPool2d_empty",
       [] {
         AdaptiveMaxPool2d(1)(made({2, 0, 3}));
       },
       "adaptive_max_pool2d: x (2, 0, 3) has no element to pool; height and width must be at least 1"},
      {"AdaptiveAvgPool2d_size",
       [] {
         AdaptiveAvgPool2d({1, Index{1} << 62})(made({1, 2, 3}));
       },
       "adaptive_avg_pool2d: x (1, 2, 3) with a size of 4611686018427387904 makes more elements than fit in 63 bits"},
      {"GlobalAvgPool_rank",
       [] {
         GlobalAvgPool()(made({2, 4}));
       },
       "GlobalAvgPool: x (2, 4) must be (batch, channels, ..)"},
      {"GlobalAvgPool_empty",
       [] {
         GlobalAvgPool()(made({2, 4, 0}));
       },
       "GlobalAvgPool: x (2, 4, 0) has no element to pool; every size after the channels must be at least 1"},
      {"Upsample_both",
       [] {
         Upsample({.size = 2, .scale_factor = 2})(made({1, 1, 2, 2}));
       },
       "interpolate: both of size and scale_factor given; give one of them"},
      {"Upsample_none",
       [] {
         Upsample({})(made({1, 1, 2, 2}));
       },
       "interpolate: none of size and scale_factor given; give one of them"},
      {"Upsample_rank",
       [] {
         Upsample({.scale_factor = 2})(made({2, 2}));
       },
       "interpolate: x (2, 2) must be (batch, channels, length) or (batch, channels, height, width)"},
      {"Upsample_size",
       [] {
         Upsample({.size = {2, -1}})(made({1, 1, 2, 2}));
       },
       "interpolate: a size of 2 x -1; both must be at least 1"},
      {"Upsample_factor",
       [] {
         Upsample({.scale_factor = {-0.5, 2}})(made({1, 1, 2, 2}));
       },
       "interpolate: a scale_factor of -0.5 x 2; both must be above 0"},
      {"Upsample_to_nothing",
       [] {
         Upsample({.scale_factor = 0.25})(made({1, 1, 2, 2}));
       },
       "interpolate: x (1, 1, 2, 2) would become 0.5 elements long; take another size or scale_factor, for lengths "
       "from "
       "1 to 2^31 - 2"},
      {"Upsample_empty",
       [] {
         Upsample({.scale_factor = 2})(made({1, 1, 2, 0}));
       },
       "interpolate: x (1, 1, 2, 0) has a dimension of 0 to interpolate; it must be from 1 to 2^31 - 2"},
      {"Upsample_corners",
       [] {
         Upsample({.scale_factor = 2, .align_corners = true})(made({1, 1, 2, 2}));
       },
       "interpolate: align_corners with nearest, which has no corners to align; choose bilinear or linear"},
      {"Upsample_mode",
       [] {
         Upsample({.scale_factor = 2, .mode = Interpolation::bilinear})(made({1, 1, 2}));
       },
       "interpolate: x (1, 1, 2) in a mode for four dimensions; choose linear for (batch, channels, length), bilinear "
       "for (batch, channels, height, width)"},
      {"GroupNorm_groups", [] { GroupNorm(2, 3); },
       "GroupNorm: 2 groups of 3 channels; there must be at least 1, and they must divide the channels"},
      {"GroupNorm_channels",
       [] {
         GroupNorm(2, 4)(made({1, 2, 3}));
       },
       "GroupNorm: x (1, 2, 3) does not fit; its second size must be 4, the channels given at construction"},
      {"GroupNorm_rank", [] { GroupNorm(2, 4)(made({4})); }, "GroupNorm: x (4) must be (batch, channels, ..)"},
      {"group_norm_groups",
       [] {
         group_norm(made({1, 3, 2}), 2);
       },
       "group_norm: 2 groups for x (1, 3, 2); there must be at least 1, and its 3 channels a multiple of them"},
      {"group_norm_weight",
       [] {
         group_norm(made({1, 4, 2}), 2, made({2}));
       },
       "group_norm: weight (2) must be (4), the channels of x (1, 4, 2)"},
      {"group_norm_eps",
       [] {
         group_norm(made({1, 4, 2}), 2, {}, {}, -1);
       },
       "group_norm: eps is -1; it must be at least 0"},
      {"InstanceNorm1d_rank",
       [] {
         InstanceNorm1d(4)(made({2, 4}));
       },
       "InstanceNorm1d: x (2, 4) must be (batch, channels, length)"},
      {"InstanceNorm2d_one",
       [] {
         InstanceNorm2d(4)(made({2, 4, 1, 1}));
       },
       "InstanceNorm2d: x (2, 4, 1, 1) has 1 values per channel; a variance needs at least 2: give a larger image or a "
       "longer series"},
      {"InstanceNorm2d_sizes", [] { InstanceNorm2d(0); }, "InstanceNorm2d: 0 channels; there must be at least 1"},
      {"BatchNorm1d_untracked_row",
       [] {
         BatchNorm1d(3, {.track_running_stats = false})(made({1, 3}));
       },
       "BatchNorm1d: x (1, 3) has 1 values per channel; a variance needs at least 2, so give more, or set "
       "track_running_stats"},
      {"Flatten_number", [] { Flatten()(made({})); },
       "Flatten: x is a single number; its first size must be the batch"},
      {"BatchNorm1d_channels",
       [] {
         BatchNorm1d(3)(made({4, 2}));
       },
       "BatchNorm1d: x (4, 2) does not fit; its second size must be 3, the channels given at construction"},
      {"BatchNorm1d_rank", [] { BatchNorm1d(3)(made({3})); },
       "BatchNorm1d: x (3) must be (batch, channels) or (batch, channels, length)"},
      {"BatchNorm1d_one_row",
       [] {
         BatchNorm1d(3)(made({1, 3}));
       },
       "BatchNorm1d: x (1, 3) has 1 values per channel; a variance needs at least 2, so train on more, or call eval()"},
      {"BatchNorm1d_no_rows",
       [] {
         BatchNorm1d(3)(made({0, 3}));
       },
       "BatchNorm1d: x (0, 3) has 0 values per channel; a variance needs at least 2, so train on more, or call eval()"},
      {"BatchNorm1d_type",
       [] {
         BatchNorm1d(3)(made({4, 3}).to(DType::f64));
       },
       "BatchNorm1d: x is f64, but this module f32; convert one with to(DType)"},
      {"BatchNorm2d_undefined", [] { BatchNorm2d(3)(Tensor()); },
       "BatchNorm2d: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"BatchNorm2d_rank",
       [] {
         BatchNorm2d(3)(made({4, 3}));
       },
       "BatchNorm2d: x (4, 3) must be (batch, channels, height, width)"},
      {"RNNCell_input",
       [] {
         RNNCell(3, 4)(made({2, 5}), made({2, 4}));
       },
       "RNNCell: x (2, 5) must be (batch, 3); for whole sequences use the layer"},
      {"GRUCell_state",
       [] {
         GRUCell(3, 4)(made({2, 3}), made({1, 4}));
       },
       "GRUCell: a state (1, 4) came; for x (2, 3) it must be (2, 4), or left out"},
      {"LSTMCell_memory",
       [] {
         LSTMCell(3, 4)(made({2, 3}), {.h = {}, .c = made({2, 3})});
       },
       "LSTMCell: a state (2, 3) came; for x (2, 3) it must be (2, 4), or left out"},
      {"LSTMCell_undefined", [] { LSTMCell(3, 4)(Tensor()); },
       "LSTMCell: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"LSTM_undefined",
       [] {
         LSTM(3, 4)
         (Tensor());
       },
       "LSTM: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"LSTM_input",
       [] {
         LSTM(3, 4)(made({5, 3}));
       },
       "LSTM: x (5, 3) must be (batch, time, 3) with at least one step"},
      {"LSTM_state",
       [] {
         LSTM(3, 4).run(made({2, 5, 3}), made({2, 4}));
       },
       "LSTM: a state (2, 4) came; for x (2, 5, 3) it must be (1, 2, 4)"},
      {"GRU_memory",
       [] {
         GRU(3, 4).run(made({2, 5, 3}), {}, made({1, 2, 4}));
       },
       "GRU: a memory c (1, 2, 4) came, which only LSTM has; leave it out"},
      {"RNN_layers", [] { RNN(3, 4, {.num_layers = 0}); }, "RNN: 0 layers; there must be at least 1"},
      {"LearnedPositions_length",
       [] {
         LearnedPositions(3, 4)(made({5, 4}));
       },
       "LearnedPositions: x (5, 4) has 5 places, but only 3 were learned; shorten x"},
      {"RotaryPositions_odd", [] { RotaryPositions(3); },
       "RotaryPositions: width 3; it must be even, since sines and cosines come in pairs"},
      {"SinusoidalPositions_width",
       [] {
         SinusoidalPositions(4)(made({5, 6}));
       },
       "SinusoidalPositions: x (5, 6) must be (.., time, 4), the width given at construction"},
      {"accuracy_rows",
       [] {
         accuracy(made({2, 3}), Ids{0});
       },
       "accuracy: logits (2, 3) have 2 rows but 1 targets came; one per row"},
      {"accuracy_target",
       [] {
         accuracy(made({2, 3}), Ids{0, 3});
       },
       "accuracy: target 3 is outside the 3 classes of logits (2, 3); use 0 .. 2"},
      {"r2_score_shapes",
       [] {
         r2_score(made({2}), made({2, 1}));
       },
       "r2_score: (2) and (2, 1) must have equal shapes; reshape one"},
      {"DataLoader_nothing", [] { DataLoader({}, {.batch_size = 2}); },
       "DataLoader: no tensors came; it needs at least one, (rows, ..)"},
      {"DataLoader_undefined",
       [] {
         DataLoader({made({3, 2}), Tensor()}, {.batch_size = 2});
       },
       "DataLoader: tensor 2 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"DataLoader_no_rows",
       [] {
         DataLoader({made({0, 2})}).rows({0});
       },
       "DataLoader: row 0 was asked for, but there are no examples; give it some"},
      {"LayerNorm_undefined", [] { LayerNorm(3)(Tensor()); },
       "LayerNorm: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"Flatten_undefined", [] { Flatten()(Tensor()); },
       "Flatten: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"RotaryPositions_undefined", [] { RotaryPositions(4)(Tensor()); },
       "RotaryPositions: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"CausalSelfAttention_undefined", [] { CausalSelfAttention(4, 2)(Tensor()); },
       "CausalSelfAttention: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"MultiHeadAttention_undefined",
       [] {
         MultiHeadAttention(4, 2)(made({2, 3, 4}), Tensor());
       },
       "MultiHeadAttention: tensor 2 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"class_scores_undefined", [] { class_scores(Tensor()); },
       "class_scores: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"accuracy_undefined", [] { accuracy(Tensor(), Ids{0}); },
       "accuracy: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"DataLoader_rows",
       [] {
         DataLoader({made({3, 2}), made({4})}, {.batch_size = 2});
       },
       "DataLoader: (3, 2) and (4) must have the same first size, one row for each example"},
      {"DataLoader_labels",
       [] {
         DataLoader({made({3, 2})}, Ids{1}, {.batch_size = 2});
       },
       "DataLoader: 1 labels came for 3 rows of (3, 2); one per row"},
      {"DataLoader_batch",
       [] {
         DataLoader({made({3, 2})}, {.batch_size = 0});
       },
       "DataLoader: batches of 0; batch_size must be at least 1"},
      {"EMA_decay", [] { EMA(Linear(1, 1), 1); }, "EMA: decay is 1; it must be at least 0 and below 1"},
      {"SGD_nothing", [] { optim::SGD(std::vector<Tensor>{}); },
       "SGD: there are no parameters to optimize; pass e.g. model.parameters()"},
      {"SGD_frozen",
       [] {
         optim::SGD({made({3, 2}), made({2})});
       },
       "SGD: no parameter wants a gradient (2 came, the first (3, 2)); make them with nn::parameter(values), or call "
       "requires_grad(true) on them"},
      {"SGD_twice", [] { optim::SGD{twice()}; }, "SGD: parameter 1 (2) was given twice; it would be updated twice"},
      {"SGD_rate", [] { optim::SGD(leaf(), {.lr = -1}); }, "SGD: lr is -1; it must be a finite number of at least 0"},
      {"SGD_nesterov", [] { optim::SGD(leaf(), {.nesterov = true}); },
       "SGD: nesterov with momentum 0 and dampening 0; it needs a momentum above 0 and no dampening"},
      {"SGD_result", [] { optim::SGD(std::vector<Tensor>{exp(leaf()[0])}); },
       "SGD: parameter 0 is the result of an op; only leaves can be optimized, e.g. what a module's parameters() "
       "lists"},
      {"Adam_betas",
       [] {
         optim::Adam(leaf(), {.betas = {0.9, 1}});
       },
       "Adam: betas.second is 1; it must be a finite number of at least 0 and below 1"},
      {"AdamW_decay", [] { optim::AdamW(leaf(), {.weight_decay = -0.1}); },
       "AdamW: weight_decay is -0.1; it must be a finite number of at least 0"},
      {"RMSprop_alpha", [] { optim::RMSprop(leaf(), {.alpha = 1}); },
       "RMSprop: alpha is 1; it must be at least 0 and below 1"},
      {"Adam_state",
       [] {
         optim::Adam adam(leaf());
         adam.set_state({{"0.step", tensor(1, DType::f64)}});
       },
       "Adam: the saved state has only one of '0.step' and '0.exp_avg'; it needs both"},
      {"Adam_foreign_state",
       [] {
         optim::Adam adam(leaf());
         adam.set_state({{"7.momentum_buffer", made({2})}});
       },
       "Adam: 1 of the saved state's 1 entries are not of this optimizer with its 1 parameters; it was saved by "
       "another optimizer or for another model"},
      {"clip_grad_norm_limit", [] { optim::clip_grad_norm(leaf(), 0); },
       "clip_grad_norm: max_norm is 0; it must be above 0"},
      {"Plateau_factor",
       [] {
         optim::SGD sgd(leaf());
         optim::ReduceLROnPlateau(sgd, {.factor = 2});
       },
       "ReduceLROnPlateau: factor is 2; it must be between 0 and 1"},
      {"Schedule_total", [] { optim::Schedule{.kind = optim::Schedule::linear}.at(0); },
       "schedule: a decay needs to know where it ends; set total, or ask at_fraction()"},
      {"Schedule_step", [] { optim::Schedule{}.at(-1); }, "schedule: step -1; steps count from 0"},
      {"Schedule_warmup", [] { optim::Schedule{.warmup = 5, .total = 3}.at(0); },
       "schedule: 3 steps in total are fewer than the 5 of the warm-up; shorten the warm-up"},
      {"init_uniform_too_wide", [] { init::uniform_(made({3}), -3e38, 3e38); },
       "uniform_: from -3e+38 to 3e+38 is more than f32 can hold; bring the bounds closer together"},
      {"init_fan", [] { init::kaiming_uniform_(made({3})); },
       "kaiming_uniform_: weight (3) has no fan; it needs at least the two dimensions (out, in), for a vector use "
       "normal_ or uniform_"},
      {"init_std", [] { init::normal_(made({3}), 0, -1); },
       "normal_: mean 0, std -1; both must be finite and std at least 0"},
      {"state_mismatched",
       [] {
         const TensorFile file{{{"weight", made({3, 4})}, {"gain", made({2})}}, {}};
         load_state(Linear(3, 2), file, "model.safetensors");
       },
       "load: model.safetensors does not fit this module; 1 missing: bias; 1 unexpected: gain; 1 that do not fit: "
       "weight is (3, 4) and should be (2, 3); was it made with other settings? (nothing was loaded)"},
      {"file_missing", [] { read_tensors("no/such/file.safetensors"); },
       "read: 'no/such/file.safetensors': there is no such file; check the path"},
      {"graph_after_conversion",
       [] {
         Linear layer(2, 1);
         const Tensor loss = sum(layer(made({1, 2})));
         layer.to(DType::f64);
         loss.backward();
       },
       "backward: an input of 'linear' has become f64 since f32 was computed from it; compute the loss again after "
       "to(DType)"},
  };
  return calls;
}

class EachWrongCall : public ::testing::TestWithParam<const WrongCall*> {};

TEST_P(EachWrongCall, SaysExactlyThis) {
  EXPECT_EQ(error_of(GetParam()->call), GetParam()->text);
}

std::vector<const WrongCall*> pointers() {
  std::vector<const WrongCall*> all;
  for (const WrongCall& call : wrong_calls()) all.push_back(&call);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Errors, EachWrongCall, ::testing::ValuesIn(pointers()),
                         [](const auto& given) { return std::string(given.param->name); });

}  // namespace
}  // namespace gradus::testing
