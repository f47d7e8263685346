// A row per module. A parameter belongs to the innermost module whose name begins the parameter's: a list of parameters
// is no module of its own.
#include <gradus/nn/summary.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <typeinfo>
#include <unordered_set>

#include <gradus/core/runtime/platform.h>

namespace gradus::nn {

std::ostream& operator<<(std::ostream& out, const Module& module) {
  return out << summary(module);
}
std::string detail::to_text(const Module& module) {
  return summary(module);
}

namespace {

// "Linear" for gradus::nn::Linear.
std::string type_of(const Module& module) {
  std::string name = platform::type_name(typeid(module).name());
  if (const std::size_t colon = name.rfind("::"); colon != std::string::npos) name.erase(0, colon + 2);
  return name;
}

// 1,234,567
std::string grouped(Index count) {
  std::string digits = std::to_string(count);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

struct Row {
  std::string name, type, shapes, count;
};

// The names of all modules (one that stands at two places has two, of which named_modules() lists the first), and what
// they hold.
struct Members final : Visitor {
  std::unordered_set<std::string> names;
  NamedTensors tensors;
  std::vector<std::pair<std::string, NarrowMatrix>> narrow;
  void on_module(std::string_view name, const Module&) override { names.emplace(name); }
  void on_tensor(std::string_view name, const Tensor& tensor, bool) override { tensors.emplace_back(name, tensor); }
  void on_narrow(std::string_view name, const NarrowMatrix& weights) override { narrow.emplace_back(name, weights); }
};

}  // namespace

std::string summary(const Module& module) {
  struct Own {
    std::string shapes;
    Index count = 0;
  };
  std::map<std::string, Own> own;
  std::unordered_set<const Node*> parameters, seen;
  for (const Tensor& parameter : module.parameters()) parameters.insert(&parameter.node());
  Members members;
  module.members(members);
  const auto owner = [&](const std::string& name) {
    std::size_t dot = name.rfind('.');
    while (dot != std::string::npos && !members.names.contains(name.substr(0, dot))) dot = name.rfind('.', dot - 1);
    return std::pair(dot == std::string::npos ? "" : name.substr(0, dot), name.substr(dot + 1));  // npos + 1 is 0
  };
  Index bytes = 0, frozen = 0;
  for (const auto& [name, weights] : members.narrow) {
    const auto [path, last] = owner(name);
    own[path].shapes = fmt::format("{} {} in {}", last, weights.shape(), weights.type());
    bytes += weights.bytes();
  }
  for (const auto& [name, tensor] : members.tensors) {
    const auto [path, last] = owner(name);
    Own& mine = own[path];
    const bool is_new = seen.insert(&tensor.node()).second, is_parameter = parameters.contains(&tensor.node());
    if (is_new) bytes += tensor.numel() * static_cast<Index>(size_of(tensor.dtype()));
    if (is_new && is_parameter) mine.count += tensor.numel();
    if (is_new && is_parameter && !tensor.requires_grad()) frozen += tensor.numel();
    const char* const mark = !is_new ? " (tied)" : tensor.requires_grad() ? "" : " (frozen)";
    mine.shapes += fmt::format("{}{}", mine.shapes.empty() ? "" : ", ",
                               is_parameter ? fmt::format("{} {}{}", last, tensor.shape(), mark)
                                            : fmt::format("[{} {}]", last, tensor.shape()));
  }
  std::vector<Row> rows{{"module", "type", "parameters", "count"}};
  std::vector<std::string> around;  // the modules that the next one lies in
  for (const auto& [name, part] : module.named_modules()) {
    while (!around.empty() && !name.starts_with(around.back())) around.pop_back();
    const std::string shown = name.empty() ? "(all)" : name.substr(around.back().size());
    const Own& mine = own[name];
    rows.push_back({std::string(2 * around.size(), ' ') + shown, type_of(*part), mine.shapes,
                    mine.count > 0 ? grouped(mine.count) : ""});
    around.push_back(name.empty() ? "" : name + ".");
  }
  std::size_t name = 0, type = 0, shapes = 0, count = 0;
  for (const Row& row : rows) {
    name = std::max(name, row.name.size());
    type = std::max(type, row.type.size());
    shapes = std::max(shapes, row.shapes.size());
    count = std::max(count, row.count.size());
  }
  const std::string rule(name + type + shapes + count + 6, '-');
  std::string text;
  for (const Row& row : rows) {
    std::string line = fmt::format("{:{}}  {:{}}  {:{}}  {:>{}}", row.name, name, row.type, type, row.shapes, shapes,
                                   row.count, count);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n" + (&row == &rows.front() ? rule + "\n" : "");
  }
  return text + rule +
         fmt::format("\n{} parameters{}; {} bytes with buffers\n", grouped(module.num_parameters()),
                     frozen == 0 ? "" : fmt::format(", {} of them frozen", grouped(frozen)), grouped(bytes));
}

}  // namespace gradus::nn
