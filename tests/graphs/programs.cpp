// Programs of an optimizer, as programs.py describes them.
#include <memory>

#include <gradus/gradus.h>

#include "case.h"

namespace gradus::testing {
namespace {

using nlohmann::json;

std::unique_ptr<optim::Optimizer> make_optimizer(const json& c, const std::vector<optim::ParamGroup>& groups) {
  const std::string name = c.at("optimizer").get<std::string>();
  const json& o = c.at("options");
  const auto number = [&](const char* key) { return o.at(key).get<double>(); };
  if (name == "SGD") {
    return std::make_unique<optim::SGD>(groups, optim::SGDOptions{.lr = number("lr"),
                                                                  .momentum = number("momentum"),
                                                                  .dampening = number("dampening"),
                                                                  .weight_decay = number("weight_decay"),
                                                                  .nesterov = o.at("nesterov").get<bool>()});
  }
  if (name == "RMSprop") {
    return std::make_unique<optim::RMSprop>(groups, optim::RMSpropOptions{.lr = number("lr"),
                                                                          .alpha = number("alpha"),
                                                                          .eps = number("eps"),
                                                                          .weight_decay = number("weight_decay"),
                                                                          .momentum = number("momentum")});
  }
  const std::pair<double, double> betas{o.at("betas").at(0).get<double>(), o.at("betas").at(1).get<double>()};
  if (name == "Adam") {
    return std::make_unique<optim::Adam>(
        groups, optim::AdamOptions{number("lr"), betas, number("eps"), number("weight_decay")});
  }
  check(name == "AdamW", "graphs: programs.cpp has no optimizer '{}'", name);
  return std::make_unique<optim::AdamW>(
      groups, optim::AdamWOptions{number("lr"), betas, number("eps"), number("weight_decay")});
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
    optimizer->zero_grad();
    const Tensor loss = loss_of(values, program.at("present").at(step), program.at("waves").at(step).get<double>());
    if (loss.defined()) loss.backward();
    if (loss.defined() && !program.at("clip").is_null()) {
      norms.push_back(optim::clip_grad_norm(params.all, program.at("clip").get<double>()));
    }
    optimizer->step();
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
  results.push_back({"the norms", {"clip_grad_norm"}, numbers_of(norms)});
  results.push_back({"the rates", {plateau ? "ReduceLROnPlateau" : "Schedule"}, numbers_of(rates)});
  return results;
}

}  // namespace gradus::testing
