// How gradus computes each case: an op's by its row in the op table, the others by the code below, picked by the case's
// name.
#include "cases.h"

#include <algorithm>
#include <cmath>

#include <gradus/gradus.h>

#include "reference_file.h"
#include "rows.h"

namespace gradus::testing {
namespace {

using Function = std::function<Tensor(const NamedInputs&)>;
using Functions = std::map<std::string, Function>;

// ---- helpers

std::vector<std::int32_t> ids_of(const Tensor& x) {
  const std::vector<double> values = x.to_vector();
  return {values.begin(), values.end()};
}

std::vector<Index> lengths_of(const Tensor& x) {
  const std::vector<double> values = x.to_vector();
  return {values.begin(), values.end()};
}

DType dtype_of(const NamedInputs& in) {
  return in.begin()->second.dtype();
}

// Puts the inputs that have a parameter's name in its place. A tied weight goes by its first name.
struct Bind : nn::Visitor {
  explicit Bind(const NamedInputs& in) : inputs(in) {}
  void on_tensor(std::string_view name, const Tensor& tensor, bool) override {
    const auto [place, is_new] = chosen.try_emplace(tensor.node_ptr(), Tensor());
    if (is_new) {
      const auto found = inputs.find(std::string(name));
      check(found != inputs.end(), "the reference has no parameter '{}'", name);
      check(found->second.shape() == tensor.shape(), "parameter '{}' is {}, in the reference {}", name, tensor.shape(),
            found->second.shape());
      place->second = found->second;
    }
    const_cast<Tensor&>(tensor) = place->second;
  }
  const NamedInputs& inputs;
  std::map<NodePtr, Tensor> chosen;
};

// The module with its parameters taken from `in`; `others` are the inputs that are not parameters.
template <class M>
M bound(M module, const NamedInputs& in, std::size_t others) {
  Bind bind(in);
  module.members(bind);
  check(bind.chosen.size() + others == in.size(), "the module has {} parameters, the reference {}", bind.chosen.size(),
        in.size() - others);
  return module;
}

// A module of one input x, made anew for each call: `make(x, dtype)`.
template <class Make>
Function layer(Make make) {
  return [make](const NamedInputs& in) {
    const Tensor& x = in.at("x");
    return bound(make(x.size(-1), x.dtype()), in, 1)(x);
  };
}

// ---- modules and losses

Function mlp(nn::Activation activation) {
  return layer([activation](Index width, DType dtype) {
    return nn::MLP(width, {.hidden = activation == nn::Activation::silu ? 7 : 20,
                           .bias = activation != nn::Activation::relu,
                           .activation = activation,
                           .dtype = dtype,
                           .coefficients = activation == nn::Activation::polynomial ? std::vector{0.25, 0.5, 0.3, -0.07}
                                                                                    : std::vector<double>()});
  });
}

Function self_attention(Index heads, bool bias = true) {
  return layer(
      [=](Index width, DType dtype) { return nn::CausalSelfAttention(width, heads, {.bias = bias, .dtype = dtype}); });
}

Function multi_head_attention(Index heads, bool bias, bool causal) {
  return [=](const NamedInputs& in) {
    const Tensor &x = in.at("x"), &memory = in.contains("memory") ? in.at("memory") : x;
    const bool cross = in.contains("memory");
    const nn::MultiHeadAttention attention =
        bound(nn::MultiHeadAttention(x.size(-1), heads,
                                     {.bias = bias, .causal = causal, .kv_dim = memory.size(-1), .dtype = x.dtype()}),
              in, cross ? 2 : 1);
    return cross ? attention(x, memory) : attention(x);
  };
}

Tensor flat(const std::vector<Tensor>& parts) {
  std::vector<Tensor> defined;
  for (const Tensor& part : parts) {
    if (part.defined()) defined.push_back(reshape(part, {part.numel()}));
  }
  return concat(defined);
}

// A layer over x (B, C, ..).
template <class Make>
Function image_layer(Make make) {
  return [make](const NamedInputs& in) { return bound(make(in.at("x").dtype()), in, 1)(in.at("x")); };
}

template <class Norm>
Function batch_norm(bool training, bool affine = true, bool running = false) {
  return [=](const NamedInputs& in) {
    const Tensor& x = in.at("x");
    Norm norm(x.size(1), {.affine = affine, .dtype = x.dtype()});
    norm.train(training);
    // Buffers of its own: they move.
    NamedInputs own = in;
    for (const char* key : {"running_mean", "running_var"}) own[key] = in.at(key).clone();
    norm = bound(std::move(norm), own, 1);
    const Tensor y = norm(x);
    if (!running) return y;
    norm(2 * x + 1);
    return concat({norm.running_mean, norm.running_var});
  };
}

template <class Cell>
Function cell(bool bias) {
  return [=](const NamedInputs& in) {
    const Tensor &x = in.at("x"), &h = in.at("h");
    const Cell made(x.size(1), h.size(1), {.bias = bias, .dtype = x.dtype()});
    if constexpr (std::is_same_v<Cell, nn::LSTMCell>) {
      const nn::LSTMState state = bound(made, in, 3)(x, {h, in.at("c")});
      return concat({state.h, state.c});
    } else {
      return bound(made, in, 2)(x, h);
    }
  };
}

template <class Net>
Function recurrent(nn::RecurrentOptions options) {
  return [=](const NamedInputs& in) mutable {
    options.dtype = in.at("x").dtype();
    const Tensor h = in.contains("h") ? in.at("h") : Tensor(), c = in.contains("c") ? in.at("c") : Tensor();
    const Net net = bound(Net(3, 4, options), in, 1 + in.count("h") + in.count("c"));
    const nn::RecurrentResult result = net.run(in.at("x"), h, c);
    return flat({result.output, result.h, result.c});
  };
}

Functions more_modules() {
  using namespace nn;
  return {
      {"Conv1d_bias", image_layer([](DType dtype) {
         return Conv1d(3, 4, 5, {.stride = 2, .padding = 3, .dilation = 2, .dtype = dtype});
       })},
      {"Conv1d_no_bias", image_layer([](DType dtype) { return Conv1d(3, 2, 3, {.bias = false, .dtype = dtype}); })},
      {"Conv2d_bias", image_layer([](DType dtype) {
         return Conv2d(3, 4, {3, 2}, {.stride = {2, 1}, .padding = 1, .dtype = dtype});
       })},
      {"Conv2d_no_bias", image_layer([](DType dtype) { return Conv2d(3, 2, 3, {.bias = false, .dtype = dtype}); })},
      {"MaxPool2d_padding", image_layer([](DType) { return MaxPool2d(3, {.stride = 2, .padding = 1}); })},
      {"AvgPool2d_padding", image_layer([](DType) { return AvgPool2d(3, {.stride = 2, .padding = 1}); })},
      {"Flatten_image", image_layer([](DType) { return Flatten(); })},
      {"BatchNorm1d_training", batch_norm<BatchNorm1d>(true)},
      {"BatchNorm1d_series", batch_norm<BatchNorm1d>(true)},
      {"BatchNorm1d_eval", batch_norm<BatchNorm1d>(false)},
      {"BatchNorm1d_plain", batch_norm<BatchNorm1d>(true, false)},
      {"BatchNorm1d_running", batch_norm<BatchNorm1d>(true, false, true)},
      {"BatchNorm2d_running", batch_norm<BatchNorm2d>(true, false, true)},
      {"BatchNorm2d_training", batch_norm<BatchNorm2d>(true)},
      {"BatchNorm2d_eval", batch_norm<BatchNorm2d>(false)},
      {"RNNCell_bias", cell<RNNCell>(true)},
      {"RNNCell_no_bias", cell<RNNCell>(false)},
      {"GRUCell_bias", cell<GRUCell>(true)},
      {"GRUCell_no_bias", cell<GRUCell>(false)},
      {"LSTMCell_bias", cell<LSTMCell>(true)},
      {"LSTMCell_no_bias", cell<LSTMCell>(false)},
      {"RNN_tanh", recurrent<RNN>({})},
      {"RNN_relu", recurrent<RNN>({.activation = RNNActivation::relu})},
      {"RNN_no_bias", recurrent<RNN>({.bias = false})},
      {"GRU_one", recurrent<GRU>({})},
      {"GRU_two_bidirectional", recurrent<GRU>({.num_layers = 2, .bidirectional = true})},
      {"LSTM_one", recurrent<LSTM>({})},
      {"LSTM_state", recurrent<LSTM>({})},
      {"LSTM_three", recurrent<LSTM>({.num_layers = 3})},
      {"LSTM_two_bidirectional", recurrent<LSTM>({.num_layers = 2, .bidirectional = true})},
      {"LearnedPositions_shorter",
       layer([](Index n, DType dtype) { return LearnedPositions(5, n, {.dtype = dtype}); })},
      {"SinusoidalPositions_batch", layer([](Index n, DType) { return SinusoidalPositions(n); })},
      {"RotaryPositions_heads", layer([](Index n, DType) { return RotaryPositions(n); })},
      {"RotaryPositions_continued", [](const NamedInputs& in) { return RotaryPositions(6)(in.at("x"), 7); }},
  };
}

Functions modules() {
  using nn::Activation;
  Functions all = more_modules();
  all.merge(Functions{
      {"Linear_bias", layer([](Index n, DType dtype) { return nn::Linear(n, 7, {.dtype = dtype}); })},
      {"Linear_no_bias", layer([](Index n, DType dtype) { return nn::Linear(n, 7, {.bias = false, .dtype = dtype}); })},
      {"LayerNorm_weight_and_bias", layer([](Index n, DType dtype) { return nn::LayerNorm(n, {.dtype = dtype}); })},
      {"LayerNorm_weight",
       layer([](Index n, DType dtype) { return nn::LayerNorm(n, {.bias = false, .dtype = dtype}); })},
      {"LayerNorm_bias",
       layer([](Index n, DType dtype) { return nn::LayerNorm(n, {.weight = false, .dtype = dtype}); })},
      {"LayerNorm_plain", layer([](Index n, DType) { return nn::LayerNorm(n, {.weight = false, .bias = false}); })},
      {"RMSNorm_weight", layer([](Index n, DType dtype) { return nn::RMSNorm(n, {.dtype = dtype}); })},
      {"RMSNorm_plain", layer([](Index n, DType) { return nn::RMSNorm(n, {.weight = false}); })},
      {"Embedding_ids",
       [](const NamedInputs& in) {
         const Tensor& ids = in.at("ids");
         return bound(nn::Embedding(5, 7, {.dtype = ids.dtype()}), in, 1)(ids_of(ids), ids.shape());
       }},
      {"CausalSelfAttention_batch", self_attention(2)},
      {"CausalSelfAttention_no_bias", self_attention(3, false)},
      {"CausalSelfAttention_one_head", self_attention(1)},
      {"CausalSelfAttention_packed",
       [](const NamedInputs& in) {
         const Tensor& x = in.at("x");
         const nn::CausalSelfAttention attention(x.size(-1), 2, {.dtype = x.dtype()});
         return bound(attention, in, 2)(x, lengths_of(in.at("lengths")));
       }},
      {"MultiHeadAttention_self", multi_head_attention(2, true, false)},
      {"MultiHeadAttention_self_causal", multi_head_attention(3, true, true)},
      {"MultiHeadAttention_cross", multi_head_attention(2, true, false)},
      {"MultiHeadAttention_cross_causal", multi_head_attention(2, true, true)},
      {"MultiHeadAttention_no_bias", multi_head_attention(4, false, false)},
      {"MLP_relu", mlp(Activation::relu)},
      {"MLP_gelu_erf", mlp(Activation::gelu_erf)},
      {"MLP_gelu_tanh", mlp(Activation::gelu_tanh)},
      {"MLP_silu", mlp(Activation::silu)},
      {"MLP_tanh", mlp(Activation::tanh)},
      {"MLP_sigmoid", mlp(Activation::sigmoid)},
      {"MLP_polynomial", mlp(Activation::polynomial)},
      {"ReLU", layer([](Index, DType) { return nn::ReLU(); })},
      {"GELU_erf", layer([](Index, DType) { return nn::GELU(); })},
      {"GELU_tanh", layer([](Index, DType) { return nn::GELU(Gelu::tanh); })},
      {"SiLU", layer([](Index, DType) { return nn::SiLU(); })},
      {"Tanh", layer([](Index, DType) { return nn::Tanh(); })},
      {"Sigmoid", layer([](Index, DType) { return nn::Sigmoid(); })},
      {"Softmax_last", layer([](Index, DType) { return nn::Softmax(); })},
      {"Softmax_middle", layer([](Index, DType) { return nn::Softmax(1); })},
      {"Identity", layer([](Index, DType) { return nn::Identity(); })},
      {"Dropout_eval", layer([](Index, DType) {
         nn::Dropout dropout(0.3);
         dropout.eval();
         return dropout;
       })},
      {"Sequential_mlp", layer([](Index n, DType dtype) {
         return nn::Sequential(nn::Linear(n, 6, {.dtype = dtype}), nn::Tanh(), nn::LayerNorm(6, {.dtype = dtype}),
                               nn::Linear(6, 2, {.dtype = dtype}));
       })},
      {"cross_entropy_some_ignored",
       [](const NamedInputs& in) { return cross_entropy(in.at("x"), ids_of(in.at("targets"))); }},
      {"mse_loss_column", [](const NamedInputs& in) { return mse_loss(in.at("x"), in.at("y")); }},
  });
  return all;
}

// ---- optimizers

void set_grad(const Tensor& param, const Tensor& grad) {
  param.zero_grad();
  sum(param * grad).backward();
}

// The parameter after each step, with the gradients one after another.
template <class Optimizer, class Options>
Function steps(const Options& options) {
  return [options](const NamedInputs& in) {
    const Tensor p = nn::parameter(in.at("p").clone());
    const Tensor& gradients = in.at("gradients");
    Optimizer optimizer(std::vector<Tensor>{p}, options);
    std::vector<Tensor> path;
    for (Index step = 0; step < gradients.size(0); ++step) {
      set_grad(p, reshape(slice(gradients, 0, step, step + 1), p.shape()));
      optimizer.step();
      path.push_back(p.detach().clone());
    }
    return stack(path);
  };
}

// The norm before, then all gradients after.
Function clipping(double max_norm) {
  return [max_norm](const NamedInputs& in) {
    std::vector<Tensor> params;
    for (const auto& [key, grad] : in) {
      params.push_back(nn::parameter(zeros_like(grad)));
      set_grad(params.back(), grad);
    }
    std::vector<Tensor> parts{full({1}, optim::clip_grad_norm(params, max_norm), dtype_of(in))};
    for (const Tensor& param : params) parts.push_back(reshape(param.grad(), {param.numel()}));
    return concat(parts);
  };
}

Function rates(const optim::Schedule& schedule, Index last) {
  return [=](const NamedInputs&) {
    std::vector<double> all;
    for (Index step = 0; step <= last; ++step) all.push_back(schedule.at(step));
    return tensor(all, {last + 1}, DType::f64);
  };
}

// The rates after each of the metrics that optimizers.py has too.
Function plateau(const optim::PlateauOptions& options) {
  return [options](const NamedInputs&) {
    optim::SGD optimizer(std::vector<Tensor>{nn::parameter(zeros({1}))}, {.lr = 0.1});
    optim::ReduceLROnPlateau scheduler(optimizer, options);
    std::vector<double> all;
    for (const double metric : {4.0,  3.0, 3.0001, 2.9999, 3.5,  3.2,  2.5,  std::nan(""), 2.6, 2.55,
                                2.54, 2.4, 2.41,   2.42,   2.43, 2.44, 2.45, 1.0,          1.0, 1.0}) {
      scheduler.step(options.maximize ? 1 / metric : metric);
      all.push_back(optimizer.lr());
    }
    return tensor(all, DType::f64);
  };
}

Tensor ema_path(const NamedInputs& in) {
  const Tensor& path = in.at("p");
  const auto at = [&](Index step) { return slice(path, 0, step, step + 1); };
  const nn::LearnedPositions model(3, 7, {.dtype = path.dtype()});  // for its one weight
  const auto put = [&](Index step) { model.weight.copy_(reshape(at(step), model.weight.shape())); };
  put(0);
  nn::EMA ema(model, 0.9);
  std::vector<Tensor> averages;
  for (Index step = 1; step < path.size(0); ++step) {
    put(step);
    ema.update();
    averages.push_back(ema.averages()[0].second.clone());
  }
  return stack(averages);
}

Functions optimizers() {
  using namespace optim;
  return {
      {"RMSprop_default", steps<RMSprop>(RMSpropOptions{})},
      {"RMSprop_momentum", steps<RMSprop>(RMSpropOptions{.lr = 0.02, .alpha = 0.9, .eps = 1e-3, .momentum = 0.8})},
      {"RMSprop_weight_decay", steps<RMSprop>(RMSpropOptions{.lr = 0.02, .weight_decay = 0.1})},
      {"ReduceLROnPlateau_default", plateau({.patience = 2})},
      {"ReduceLROnPlateau_cooldown", plateau({.factor = 0.5, .patience = 1, .cooldown = 2, .min_lr = 0.02})},
      {"ReduceLROnPlateau_maximize", plateau({.maximize = true, .factor = 0.3, .patience = 0, .threshold = 0.01})},
      {"EMA_path", ema_path},
      {"SGD_plain", steps<SGD>(SGDOptions{.lr = 0.1})},
      {"SGD_momentum", steps<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9})},
      {"SGD_dampening", steps<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5})},
      {"SGD_nesterov", steps<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true})},
      {"SGD_weight_decay", steps<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true})},
      {"Adam_default", steps<Adam>(AdamOptions{})},
      {"Adam_betas", steps<Adam>(AdamOptions{.lr = 0.02, .betas = {0.8, 0.95}, .eps = 1e-3})},
      {"Adam_weight_decay", steps<Adam>(AdamOptions{.lr = 0.02, .weight_decay = 0.1})},
      {"AdamW_default", steps<AdamW>(AdamWOptions{})},
      {"AdamW_betas", steps<AdamW>(AdamWOptions{.lr = 0.02, .betas = {0.9, 0.95}, .eps = 1e-6, .weight_decay = 0.1})},
      {"clip_grad_norm_above", clipping(1.5)},
      {"clip_grad_norm_below", clipping(100)},
      {"Schedule_constant", rates({.max_lr = 0.003}, 20)},
      {"Schedule_constant_warmup", rates({.max_lr = 0.003, .warmup = 5}, 20)},
      {"Schedule_linear", rates({.kind = Schedule::linear, .max_lr = 0.01, .min_lr = 0.001, .total = 20}, 22)},
      {"Schedule_linear_warmup",
       rates({.kind = Schedule::linear, .max_lr = 0.01, .min_lr = 0.001, .warmup = 5, .total = 20}, 22)},
      {"Schedule_cosine", rates({.kind = Schedule::cosine, .max_lr = 0.01, .min_lr = 0.001, .total = 20}, 20)},
      {"Schedule_cosine_warmup",
       rates({.kind = Schedule::cosine, .max_lr = 0.01, .min_lr = 0.001, .warmup = 5, .total = 20}, 22)},
  };
}

// ---- models

models::GPT make_model(const models::GPTConfig& config, const NamedInputs& in) {
  models::GPT model(config);
  model.to(dtype_of(in));
  return bound(model, in, in.contains("targets") ? 3 : 2);
}

Tensor loss_of(const models::GPT& model, std::span<const std::int32_t> tokens, const NamedInputs& in) {
  const Tensor& lengths = in.at("lengths");
  return cross_entropy(model(tokens, lengths.size(0), lengths_of(lengths).front()), ids_of(in.at("targets")));
}

// Loss and gradient norm of each of ten steps of AdamW, as the Trainer takes them.
Tensor training(const models::GPTConfig& config, NamedInputs in) {
  for (auto& [key, x] : in) x = x.clone().requires_grad(key != "tokens" && key != "targets" && key != "lengths");
  models::GPT model = make_model(config, in);
  optim::AdamW optimizer(optim::decay_groups(model, 0.1), {.lr = 0.01, .betas = {0.9, 0.95}});
  std::vector<std::int32_t> tokens = ids_of(in.at("tokens"));
  std::vector<double> path;
  for (int step = 0; step < 10; ++step) {
    optimizer.zero_grad();
    const Tensor loss = loss_of(model, tokens, in);
    loss.backward();
    const double norm = optim::clip_grad_norm(model.parameters(), 0.5);
    optimizer.step();
    path.insert(path.end(), {loss.item(), norm});
    for (std::int32_t& token : tokens) token = (token + 1) % static_cast<std::int32_t>(config.vocab_size);
  }
  return tensor(path, {10, 2}, dtype_of(in));
}

Functions model(const models::GPTConfig& config) {
  return {
      {"logits",
       [=](const NamedInputs& in) {
         return make_model(config, in)(ids_of(in.at("tokens")), lengths_of(in.at("lengths")));
       }},
      {"loss", [=](const NamedInputs& in) { return loss_of(make_model(config, in), ids_of(in.at("tokens")), in); }},
      {"training", [=](const NamedInputs& in) { return training(config, in); }},
  };
}

// "MLP" for "MLP_relu": the longest name in the section that the case's begins with.
const Subject* subject(const std::string& section, const std::string& name) {
  const Subject* found = nullptr;
  for (const Subject& known : subjects()) {
    const bool fits = known.section == section && (name + "_").starts_with(known.name + "_");
    if (fits && (found == nullptr || known.name.size() > found->name.size())) found = &known;
  }
  check(found != nullptr, "'{}' has no line among the {} of subjects.cpp: add one", name, section);
  return found;
}

Case make_case(const std::string& file, const std::string& name, const Subject* subject, const Function& f) {
  return {.file = file,
          .name = name,
          .subject = subject,
          .limits = subject->limits,
          .f = f,
          .differences = name.find("@edge") == std::string::npos};
}

// The rows that PyTorch has answered; reference_test.cpp sees to it that these are all.
void add_ops(std::vector<Case>& all) {
  for (const RowCase& c : row_cases()) {
    if (!reference_file("ops").contains(c.name)) continue;
    const auto f = [f = c.row->f](const NamedInputs& in) {
      std::vector<Tensor> x;
      for (const auto& [key, input] : in) x.push_back(input);
      return f(x);
    };
    all.push_back(make_case("ops", c.name, subject("Ops", c.row->op), f));
    all.back().limits = c.row->limits;
    all.back().step = std::max(all.back().step, c.row->gradcheck_step);
  }
}

void add(std::vector<Case>& all, const std::string& section, const std::string& file, const Functions& functions) {
  for (const auto& [name, recorded] : reference_file(file)) {
    const auto f = functions.find(name);
    check(f != functions.end(), "{}.safetensors has a case '{}' that cases.cpp does not know", file, name);
    all.push_back(make_case(file, name, subject(section, section == "Models" ? file : name), f->second));
  }
}

}  // namespace

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> list;
    add_ops(list);
    add(list, "Modules", "modules", modules());
    add(list, "Optimizers", "optimizers", optimizers());
    const models::GPTConfig gpt2{.vocab_size = 13, .block_size = 8, .n_layer = 2, .n_head = 2, .n_embd = 16};
    models::GPTConfig microgpt = models::GPTConfig::microgpt(11);
    microgpt.block_size = 8;
    add(list, "Models", "gpt2", model(gpt2));
    add(list, "Models", "microgpt", model(microgpt));
    return list;
  }();
  return all;
}

}  // namespace gradus::testing
