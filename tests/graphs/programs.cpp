// Programs of an optimizer, as programs.py describes them.
#include <map>
#include <memory>

#include <gradus/gradus.h>

#include "case.h"

namespace gradus::testing {
namespace {

using nlohmann::json;

using Groups = std::vector<optim::ParamGroup>;
using Made = std::unique_ptr<optim::Optimizer>;

double number(const json& o, const char* key) {
  return o.at(key).get<double>();
}

bool flag(const json& o, const char* key) {
  return o.at(key).get<bool>();
}

std::pair<double, double> betas(const json& o) {
  return {o.at("betas").at(0).get<double>(), o.at("betas").at(1).get<double>()};
}

// The optimizers as programs.py has them, with all of their options.
Made make_sgd(const json& o, const Groups& groups) {
  return std::make_unique<optim::SGD>(groups, optim::SGDOptions{.lr = number(o, "lr"),
                                                                .momentum = number(o, "momentum"),
                                                                .dampening = number(o, "dampening"),
                                                                .weight_decay = number(o, "weight_decay"),
                                                                .nesterov = flag(o, "nesterov"),
                                                                .maximize = flag(o, "maximize")});
}

template <class Optimizer, class Options>
Made make_adam(const json& o, const Groups& groups) {
  return std::make_unique<Optimizer>(groups, Options{.lr = number(o, "lr"),
                                                     .betas = betas(o),
                                                     .eps = number(o, "eps"),
                                                     .weight_decay = number(o, "weight_decay"),
                                                     .amsgrad = flag(o, "amsgrad"),
                                                     .maximize = flag(o, "maximize")});
}

Made make_rmsprop(const json& o, const Groups& groups) {
  return std::make_unique<optim::RMSprop>(groups, optim::RMSpropOptions{.lr = number(o, "lr"),
                                                                        .alpha = number(o, "alpha"),
                                                                        .eps = number(o, "eps"),
                                                                        .weight_decay = number(o, "weight_decay"),
                                                                        .momentum = number(o, "momentum"),
                                                                        .centered = flag(o, "centered"),
                                                                        .maximize = flag(o, "maximize")});
}

Made make_adagrad(const json& o, const Groups& groups) {
  return std::make_unique<optim::Adagrad>(
      groups, optim::AdagradOptions{.lr = number(o, "lr"),
                                    .lr_decay = number(o, "lr_decay"),
                                    .weight_decay = number(o, "weight_decay"),
                                    .initial_accumulator_value = number(o, "initial_accumulator_value"),
                                    .eps = number(o, "eps"),
                                    .maximize = flag(o, "maximize")});
}

Made make_adamax(const json& o, const Groups& groups) {
  return std::make_unique<optim::Adamax>(groups, optim::AdamaxOptions{.lr = number(o, "lr"),
                                                                      .betas = betas(o),
                                                                      .eps = number(o, "eps"),
                                                                      .weight_decay = number(o, "weight_decay"),
                                                                      .maximize = flag(o, "maximize")});
}

Made make_nadam(const json& o, const Groups& groups) {
  return std::make_unique<optim::NAdam>(groups, optim::NAdamOptions{.lr = number(o, "lr"),
                                                                    .betas = betas(o),
                                                                    .eps = number(o, "eps"),
                                                                    .weight_decay = number(o, "weight_decay"),
                                                                    .momentum_decay = number(o, "momentum_decay")});
}

Made make_radam(const json& o, const Groups& groups) {
  return std::make_unique<optim::RAdam>(groups, optim::RAdamOptions{.lr = number(o, "lr"),
                                                                    .betas = betas(o),
                                                                    .eps = number(o, "eps"),
                                                                    .weight_decay = number(o, "weight_decay")});
}

Made make_lion(const json& o, const Groups& groups) {
  return std::make_unique<optim::Lion>(
      groups, optim::LionOptions{.lr = number(o, "lr"), .betas = betas(o), .weight_decay = number(o, "weight_decay")});
}

Made make_muon(const json& o, const Groups& groups) {
  return std::make_unique<optim::Muon>(groups, optim::MuonOptions{.lr = number(o, "lr"),
                                                                  .weight_decay = number(o, "weight_decay"),
                                                                  .momentum = number(o, "momentum"),
                                                                  .nesterov = flag(o, "nesterov"),
                                                                  .eps = number(o, "eps"),
                                                                  .ns_steps = o.at("ns_steps").get<Index>()});
}

Made make_lbfgs(const json& o, const Groups& groups) {
  optim::LBFGSOptions options{.lr = number(o, "lr"),
                              .max_iter = o.at("max_iter").get<Index>(),
                              .tolerance_grad = number(o, "tolerance_grad"),
                              .tolerance_change = number(o, "tolerance_change"),
                              .history_size = o.at("history_size").get<Index>()};
  if (!o.at("max_eval").is_null()) options.max_eval = o.at("max_eval").get<Index>();
  if (!o.at("line_search_fn").is_null()) options.line_search_fn = optim::LineSearch::strong_wolfe;
  return std::make_unique<optim::LBFGS>(groups.at(0).params, options);
}

Made make_optimizer(const json& c, const Groups& groups) {
  using namespace optim;
  static const std::map<std::string, Made (*)(const json&, const Groups&)> known{
      {"SGD", make_sgd},
      {"Adam", make_adam<Adam, AdamOptions>},
      {"AdamW", make_adam<AdamW, AdamWOptions>},
      {"RMSprop", make_rmsprop},
      {"Adagrad", make_adagrad},
      {"Adamax", make_adamax},
      {"NAdam", make_nadam},
      {"RAdam", make_radam},
      {"Lion", make_lion},
      {"Muon", make_muon},
      {"LBFGS", make_lbfgs}};
  const std::string name = c.at("optimizer").get<std::string>();
  const auto found = known.find(name);
  check(found != known.end(), "graphs: programs.cpp has no optimizer '{}'", name);
  return found->second(c.at("options"), groups);
}

std::vector<optim::ParamGroup> make_groups(const json& c, const std::vector<Tensor>& params) {
  std::vector<optim::ParamGroup> groups;
  for (const json& given : c.at("groups")) {
    optim::ParamGroup group;
    for (const json& place : given.at("params")) group.params.push_back(params[place.get<std::size_t>()]);
    group.lr_scale = given.at("lr_scale").get<double>();
    if (!given.at("weight_decay").is_null()) group.weight_decay = given.at("weight_decay").get<double>();
    groups.push_back(group);
  }
  return groups;
}

std::optional<optim::Schedule> make_schedule(const json& c) {
  const json& s = c.at("schedule");
  if (s.is_null()) return {};
  return optim::Schedule{.kind = static_cast<optim::Schedule::Kind>(s.at("kind").get<int>()),
                         .max_lr = s.at("max_lr").get<double>(),
                         .min_lr = s.at("min_lr").get<double>(),
                         .warmup = s.at("warmup").get<Index>(),
                         .total = s.at("total").get<Index>()};
}

std::optional<optim::ReduceLROnPlateau> make_plateau(const json& c, optim::Optimizer& optimizer) {
  if (c.at("plateau").is_null()) return {};
  const json& o = c.at("plateau").at("options");
  return optim::ReduceLROnPlateau(optimizer, {.maximize = o.at("maximize").get<bool>(),
                                              .factor = o.at("factor").get<double>(),
                                              .patience = o.at("patience").get<Index>(),
                                              .cooldown = o.at("cooldown").get<Index>(),
                                              .min_lr = o.at("min_lr").get<double>()});
}

// The parameters as a module, for the average of its weights.
struct Parameters : nn::Module {
  void members(nn::Visitor& visit) const override { visit("p", all); }
  std::vector<Tensor> all;
};

// sum over the parameters that are present of sum(a p p) / 2 + wave sum(b p); undefined if none is.
Tensor loss_of(const std::vector<std::vector<Tensor>>& values, const json& present, double wave) {
  Tensor loss;
  for (std::size_t i = 0; i < values[0].size(); ++i) {
    if (!present.at(i).get<bool>()) continue;
    const Tensor &p = values[0][i], &a = values[1][i], &b = values[2][i];
    const Tensor term = sum(a * p * p) * 0.5 + sum(b * p) * wave;
    loss = loss.defined() ? loss + term : term;
  }
  return loss;
}

// Parameters, a and b, as programs.py has them under "values".
std::vector<std::vector<Tensor>> tensors_of(const GraphCase& c, DType dtype) {
  std::vector<std::vector<Tensor>> values(3);
  std::size_t used = 0;
  for (std::vector<Tensor>& part : values) {
    for (const json& sizes : c.description.at("params")) {
      const Shape shape(sizes.get<std::vector<Index>>());
      const auto count = static_cast<std::size_t>(shape.numel());
      part.push_back(tensor(std::span(c.inputs).subspan(used, count), shape, dtype));
      used += count;
    }
  }
  for (Tensor& p : values[0]) p.requires_grad(true);
  return values;
}

void clip(const std::vector<Tensor>& params, const json& limit, std::vector<double>& norms) {
  if (limit.is_null()) return;
  if (limit.contains("value")) return optim::clip_grad_value(params, number(limit, "value"));
  norms.push_back(optim::clip_grad_norm(params, number(limit, "norm")));
}

Tensor numbers_of(const std::vector<double>& all) {
  return tensor(all, Shape{static_cast<Index>(all.size())}, DType::f64);
}

}  // namespace

std::vector<Result> run_program(const GraphCase& c, DType dtype) {
  const json& program = c.description;
  const std::vector<std::vector<Tensor>> values = tensors_of(c, dtype);
  Parameters params;
  params.all = values[0];
  const auto optimizer = make_optimizer(program, make_groups(program, values[0]));
  const std::optional<optim::Schedule> schedule = make_schedule(program);
  std::optional<optim::ReduceLROnPlateau> plateau = make_plateau(program, *optimizer);
  std::optional<nn::EMA> ema;
  if (!program.at("ema").is_null()) ema.emplace(params, program.at("ema").get<double>());
  std::vector<double> norms, rates;
  for (std::size_t step = 0; step < program.at("steps").get<std::size_t>(); ++step) {
    if (schedule) optimizer->set_lr(schedule->at(static_cast<Index>(step)));
    const auto gradients = [&] {
      optimizer->zero_grad();
      const Tensor loss = loss_of(values, program.at("present").at(step), program.at("waves").at(step).get<double>());
      if (!loss.defined()) return zeros({}, dtype);
      loss.backward();
      clip(params.all, program.at("clip"), norms);
      return loss;
    };
    if (auto* const lbfgs = dynamic_cast<optim::LBFGS*>(optimizer.get())) {
      lbfgs->step(gradients);
    } else {
      gradients();
      optimizer->step();
    }
    if (ema) ema->update();
    rates.push_back(optimizer->lr());
    if (plateau) plateau->step(program.at("plateau").at("metrics").at(step).get<double>());
  }
  const std::vector<std::string> subject{program.at("optimizer").get<std::string>()};
  std::vector<Result> results;
  for (const Tensor& p : params.all) results.push_back({fmt::format("parameter {}", results.size()), subject, p});
  if (ema) {
    for (const auto& [name, average] : ema->averages()) results.push_back({"the average of " + name, {"EMA"}, average});
  }
  const bool by_value = !program.at("clip").is_null() && program.at("clip").contains("value");
  for (Result& result : results) {
    if (by_value) result.subjects.emplace_back("clip_grad_value");
  }
  results.push_back({"the norms", {"clip_grad_norm"}, numbers_of(norms)});
  results.push_back({"the rates", {plateau ? "ReduceLROnPlateau" : "Schedule"}, numbers_of(rates)});
  return results;
}

}  // namespace gradus::testing
