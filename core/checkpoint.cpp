// checkpoint() records one op. Its inputs are f's arguments and every other tensor that f uses. Its backward runs f on
// them once more and goes back through the new graph, which adds to their gradients as if it had been there all the
// time.
#include <gradus/core/checkpoint.h>

#include <algorithm>
#include <cstring>

#include <gradus/core/detail/backward_pass.h>

namespace gradus {
namespace {

using detail::NodeList;

// While one lives, the default generator gives the numbers that it gave from `state` on.
class Replay {
 public:
  explicit Replay(const Generator& state) : now_(std::exchange(default_generator(), state)) {}
  ~Replay() { default_generator() = now_; }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

 private:
  Generator now_;
};

bool is_one_of(const std::vector<Tensor>& tensors, const NodePtr& node) {
  return std::ranges::find(tensors, node, &Tensor::node_ptr) != tensors.end();
}

// The tensors outside `ops` that they were computed from and that require a gradient. The ops have ids from first_id
// on.
std::vector<Tensor> sources_of(const NodeList& ops, std::uint64_t first_id) {
  std::vector<Tensor> sources;
  for (const NodePtr& op : ops) {
    for (const NodePtr& input : op->inputs) {
      if (input == nullptr || !input->requires_grad || (!input->is_leaf() && input->id >= first_id)) continue;
      if (!is_one_of(sources, input)) sources.emplace_back(input);
    }
  }
  return sources;
}

std::vector<Tensor> sources_behind(const Tensor& y, std::uint64_t first_id) {
  const detail::OnlySince here(first_id);
  return sources_of(detail::ops_behind("checkpoint", y), first_id);
}

bool has_same_values(const Tensor& y, const Node& expected) {
  return y.shape() == expected.shape && y.dtype() == expected.dtype && dispatch(y.dtype(), [&]<class T>() {
           return std::memcmp(y.node().data.as<T>(), expected.data.as<T>(),
                              static_cast<std::size_t>(y.numel()) * sizeof(T)) == 0;
         });
}

// f, and what its second run needs besides the op's inputs.
struct SecondRun {
  TensorsFunction f;
  Generator generator;                 // as it was before the first run
  std::vector<std::size_t> arguments;  // of f, by their places among the op's inputs

  // The ops of f, its result first; `out` is the op.
  NodeList operator()(const Node& out, std::uint64_t first_id) const {
    const Tensor y = result(out);  // where f reads inputs that were changed, the op's ChangeGuard throws Error
    // Values that were changed on purpose are not those of the first run.
    const bool kept = out.data.version() == out.versions.result;
    check(y.defined() && y.requires_grad() && !y.is_leaf() && y.node().id >= first_id &&
              (!kept || has_same_values(y, out)),
          "checkpoint: backward() ran f again and got another result (shape {}, the first time {}); f must use nothing "
          "that changes between the runs: no variables that change, no settings, no generator but the default one; "
          "call mark_written() if you wrote the first result through data()",
          y.defined() ? y.shape() : Shape{}, out.shape);
    NodeList ops = detail::ops_behind("checkpoint", y);
    for (const Tensor& source : sources_of(ops, first_id)) {
      check(source.is_leaf() || std::ranges::find(out.inputs, source.node_ptr()) != out.inputs.end(),
            "checkpoint: f uses the result {} of '{}', which it did not use before or which another thread computed; "
            "pass it to checkpoint() as an argument",
            source.shape(), source.node().called());
    }
    return ops;
  }

 private:
  Tensor result(const Node& out) const {
    std::vector<Tensor> x;
    for (const std::size_t i : arguments) x.emplace_back(out.inputs[i]);
    const Replay numbers(generator);
    const EnableGrad recording;
    return f(x);
  }
};

void add_gradients(const SecondRun& run, const Node& out) {
  const std::uint64_t first_id = detail::next_id_after(out.id);
  const detail::OnlySince here(first_id);
  NodeList ops = run(out, first_id);
  ops.front()->grad = out.grad;
  detail::run_kernels(std::move(ops), false);
}

Gradients gradients_with_graph(const SecondRun& run, const Node& out, const Tensor& dy, const RuleInputs& x) {
  const std::uint64_t first_id = detail::next_id_after(out.id);
  const detail::OnlySince here(first_id);
  const Tensor y(run(out, first_id).front());
  std::vector<std::size_t> places;
  std::vector<Tensor> wanted;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!x.wants(i)) continue;
    places.push_back(i);
    wanted.push_back(x[i]);
  }
  const auto found = grad(y, wanted, {.weight = dy, .create_graph = true, .allow_unused = true});
  Gradients all(x.size());
  for (std::size_t i = 0; i < places.size(); ++i) all[places[i]] = found[i];
  return all;
}

Tensor first_run(const TensorsFunction& f, const std::vector<Tensor>& x) {
  detail::check_function("checkpoint", f);
  Tensor y = f(x);
  check(y.defined(), "checkpoint: f returned an undefined tensor; it must return what it computed");
  return y;
}

}  // namespace

Tensor checkpoint(const TensorsFunction& f, const std::vector<Tensor>& x) {
  if (!grad_enabled()) return first_run(f, x);
  std::uint64_t first_id = detail::next_id();
  for (const Tensor& each : x) {
    if (each.defined()) first_id = detail::next_id_after(each.node().id);
  }
  SecondRun again{f, default_generator(), {}};
  Tensor y = first_run(f, x);
  if (!y.requires_grad() || y.is_leaf() || y.node().id < first_id) return y;  // nothing has to be computed again

  const std::vector<Tensor> sources = sources_behind(y, first_id);
  y = y.detach();  // frees the graph of f
  std::vector<Tensor> inputs;
  for (const Tensor& each : x) {
    // An argument that y does not depend on must get no gradient: as an input it would get zeros.
    const bool unused = each.defined() && each.requires_grad() && !is_one_of(sources, each.node_ptr());
    const Tensor input = unused ? each.detach() : each;
    const auto place = std::ranges::find(inputs, input.node_ptr(), &Tensor::node_ptr);
    again.arguments.push_back(static_cast<std::size_t>(place - inputs.begin()));
    if (place == inputs.end()) inputs.push_back(input);
  }
  for (const Tensor& source : sources) {
    if (!is_one_of(inputs, source.node_ptr())) inputs.push_back(source);
  }
  const std::vector<std::reference_wrapper<const Tensor>> all(inputs.begin(), inputs.end());
  const auto run = std::make_shared<const SecondRun>(std::move(again));
  return record(
      "checkpoint", std::move(y), detail::InputList(all), [run](const Node& out, Inputs) { add_gradients(*run, out); },
      [run](const Tensor& out, const Tensor& dy, const RuleInputs& in) {
        return gradients_with_graph(*run, out.node(), dy, in);
      });
}

Tensor checkpoint(const TensorFunction& f, const Tensor& x) {
  detail::check_function("checkpoint", f);
  return checkpoint([f](const std::vector<Tensor>& arguments) { return f(arguments[0]); }, std::vector{x});
}

}  // namespace gradus
