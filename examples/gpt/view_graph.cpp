// The graph of a text's loss, node by node, as the engine recorded it and ran it backward.
#include <algorithm>
#include <cmath>
#include <map>

#include <gradus/core/ops.h>
#include <gradus/core/watch.h>

#include "view_parts.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Buffer;
using gradus::Index;
using gradus::Node;
using gradus::Tensor;

Json numbers_of(const Node& node, const Buffer& values) {
  if (!values) return {};
  constexpr Index shown = 16;
  std::vector<double> all(static_cast<std::size_t>(node.numel()));
  gradus::dispatch(node.dtype, [&]<class T>() { std::copy_n(values.as<T>(), all.size(), all.begin()); });
  double sum = 0, squares = 0;
  for (const double x : all) sum += x;
  const double mean = sum / static_cast<double>(all.size());
  for (const double x : all) squares += (x - mean) * (x - mean);
  return {{"mean", number(mean, 4)},
          {"std", number(std::sqrt(squares / static_cast<double>(all.size())), 4)},
          {"min", number(*std::ranges::min_element(all), 4)},
          {"max", number(*std::ranges::max_element(all), 4)},
          {"values", numbers(std::span(all).first(std::min<std::size_t>(shown, all.size())), 4)}};
}

// Ids count from 0 in the order of the forward pass; a parameter gets its own when an op first reads it.
class Recorder : public gradus::OpWatcher {
 public:
  explicit Recorder(const models::GPT& model) {
    for (const auto& [name, parameter] : model.named_parameters()) names_[&parameter.node()] = name;
  }

  void on_record(const Node& op) override {
    Json inputs = Json::array();
    std::string module;
    std::size_t newest = 0;
    for (const auto& input : op.inputs) {
      if (input == nullptr) continue;
      const std::size_t id = id_of(*input);
      inputs.push_back(id);
      // An op belongs to the module of its parameter, or else to that of its newest input.
      if (const auto named = names_.find(input.get()); named != names_.end()) {
        module = named->second.substr(0, named->second.rfind('.'));
        newest = nodes_.size();
      } else if (id >= newest) {
        newest = id;
        module = nodes_[id]["module"].get<std::string>();
      }
    }
    ids_[&op] = nodes_.size();
    nodes_.push_back({{"id", nodes_.size()},
                      {"op", op.op},
                      {"module", module},
                      {"shape", sizes_of(op)},
                      {"inputs", std::move(inputs)},
                      {"forward", numbers_of(op, op.data)},
                      {"backward", Json()}});
  }
  void on_backward(const Node& op, bool) override {
    if (const auto found = ids_.find(&op); found != ids_.end()) {
      nodes_[found->second]["backward"] = numbers_of(op, op.grad);
    }
  }
  // The nodes, with the gradients that the parameters have now.
  Json finish() {
    for (const auto& [node, name] : names_) {
      if (const auto found = ids_.find(node); found != ids_.end()) {
        nodes_[found->second]["backward"] = numbers_of(*node, node->grad);
      }
    }
    return std::move(nodes_);
  }

 private:
  static Json sizes_of(const Node& node) {
    Json sizes = Json::array();
    for (const Index size : node.shape) sizes.push_back(size);
    return sizes;
  }
  std::size_t id_of(const Node& node) {
    if (const auto found = ids_.find(&node); found != ids_.end()) return found->second;
    const auto named = names_.find(&node);
    const std::size_t id = nodes_.size();
    ids_[&node] = id;
    nodes_.push_back({{"id", id},
                      {"op", named == names_.end() ? "input" : "parameter"},
                      {"module", named == names_.end() ? "" : named->second},
                      {"shape", sizes_of(node)},
                      {"inputs", Json::array()},
                      {"forward", numbers_of(node, node.data)},
                      {"backward", Json()}});
    return id;
  }

  std::map<const Node*, std::string> names_;
  std::map<const Node*, std::size_t> ids_;
  Json nodes_ = Json::array();
};

}  // namespace

Json graph_part(const ViewRun& run, const ShownText& text) {
  models::GPT model = run.model();
  model.zero_grad();
  const std::vector<std::int32_t> tokens(text.ids.begin(), text.ids.end() - 1),
      targets(text.ids.begin() + 1, text.ids.end());
  const std::vector<Index> lengths{static_cast<Index>(tokens.size())};
  Recorder recorder(model);
  const Tensor loss = cross_entropy(model(tokens, lengths), targets);
  loss.backward(true);  // keeps the nodes, which are known by address
  Json nodes = recorder.finish();
  model.zero_grad();
  return {{"text", text.text},
          {"pieces", pieces_of(run.tokenizer, text.ids)},
          {"loss", number(loss.item(), 7)},
          {"nodes", std::move(nodes)}};
}

}  // namespace gpt
