// The rows. Several for most ops: each way to broadcast, each kind of reduction, each path through a kernel. Tolerances
// other than the usual ones carry their reason.
#include "op_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <ostream>
#include <random>

namespace gradus::testing {
namespace {

namespace ref = reference;
using Shapes = std::vector<Shape>;

double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}
double gelu_tanh(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

void add_unary(std::vector<OpRow>& rows) {
  struct Case {
    const char *op, *variant;
    Tensor (*f)(const Tensor&);
    double (*reference)(double);
    Domain domain;
    double f32_tolerance = 1e-6;
  };
  const Case cases[] = {
      {"neg", "", [](const Tensor& x) { return -x; }, [](double x) { return -x; }, Domain::any},
      {"exp", "", [](const Tensor& x) { return exp(x); }, [](double x) { return std::exp(x); }, Domain::any},
      {"exp", "wide", [](const Tensor& x) { return exp(x); }, [](double x) { return std::exp(x); }, Domain::low},
      {"log", "", [](const Tensor& x) { return log(x); }, [](double x) { return std::log(x); }, Domain::positive},
      {"sqrt", "", [](const Tensor& x) { return sqrt(x); }, [](double x) { return std::sqrt(x); }, Domain::positive},
      {"abs", "", [](const Tensor& x) { return abs(x); }, [](double x) { return std::abs(x); }, Domain::nonzero},
      {"sin", "", [](const Tensor& x) { return sin(x); }, [](double x) { return std::sin(x); }, Domain::any},
      {"sin", "wide", [](const Tensor& x) { return sin(x); }, [](double x) { return std::sin(x); }, Domain::wide},
      {"cos", "", [](const Tensor& x) { return cos(x); }, [](double x) { return std::cos(x); }, Domain::any},
      {"cos", "wide", [](const Tensor& x) { return cos(x); }, [](double x) { return std::cos(x); }, Domain::wide},
      {"tanh", "", [](const Tensor& x) { return tanh(x); }, [](double x) { return std::tanh(x); }, Domain::any},
      {"tanh", "wide", [](const Tensor& x) { return tanh(x); }, [](double x) { return std::tanh(x); }, Domain::wide},
      {"sigmoid", "", [](const Tensor& x) { return sigmoid(x); }, logistic, Domain::any},
      {"sigmoid", "wide", [](const Tensor& x) { return sigmoid(x); }, logistic, Domain::wide},
      {"relu", "", [](const Tensor& x) { return relu(x); }, [](double x) { return std::max(x, 0.0); }, Domain::nonzero},
      {"silu", "", [](const Tensor& x) { return silu(x); }, [](double x) { return x * logistic(x); }, Domain::any},
      {"silu", "wide", [](const Tensor& x) { return silu(x); }, [](double x) { return x * logistic(x); }, Domain::wide},
      {"softplus", "", [](const Tensor& x) { return softplus(x); }, [](double x) { return std::log1p(std::exp(x)); },
       Domain::any},
      {"softplus", "wide", [](const Tensor& x) { return softplus(x); },
       [](double x) { return std::log1p(std::exp(x)); }, Domain::wide},
      {"gelu_erf", "", [](const Tensor& x) { return gelu(x); },
       [](double x) { return x * 0.5 * std::erfc(-x / std::numbers::sqrt2); }, Domain::any},
      {"gelu_erf", "wide", [](const Tensor& x) { return gelu(x, Gelu::erf); },
       [](double x) { return x * 0.5 * std::erfc(-x / std::numbers::sqrt2); }, Domain::wide},
      {"gelu_tanh", "", [](const Tensor& x) { return gelu(x, Gelu::tanh); }, gelu_tanh, Domain::any},
      {"gelu_tanh", "wide", [](const Tensor& x) { return gelu(x, Gelu::tanh); }, gelu_tanh, Domain::wide},
      // exp(b log a): the error of the logarithm, times the exponent.
      {"pow", "minus_one_and_a_half", [](const Tensor& x) { return pow(x, -1.5); },
       [](double x) { return std::pow(x, -1.5); }, Domain::positive, 4e-6},
      {"pow", "square", [](const Tensor& x) { return pow(x, 2); }, [](double x) { return x * x; }, Domain::any},
      {"pow", "cube_of_any_sign", [](const Tensor& x) { return pow(x, 3); }, [](double x) { return x * x * x; },
       Domain::nonzero, 4e-6},
      {"pow", "inverse", [](const Tensor& x) { return pow(x, -1); }, [](double x) { return 1 / x; }, Domain::nonzero,
       4e-6},
      {"pow", "zero", [](const Tensor& x) { return pow(x, 0); }, [](double) { return 1.0; }, Domain::any},
      {"pow", "one", [](const Tensor& x) { return pow(x, 1); }, [](double x) { return x; }, Domain::any},
      {"clamp", "", [](const Tensor& x) { return clamp(x, -0.75, 1.25); },
       [](double x) { return std::min(std::max(x, -0.75), 1.25); }, Domain::any},
  };
  for (const Case& c : cases) {
    rows.push_back({.op = c.op,
                    .variant = c.variant,
                    .shapes = {{3, 1, 7}},
                    .f = [f = c.f](In x) { return f(x[0]); },
                    .reference = [f = c.reference](Arrays x) { return ref::map(x[0], f); },
                    .domains = {c.domain},
                    .sized =
                        [](Index n) {
                          return Shapes{{2, n}};
                        },
                    .large = {{3, 50'001}},
                    .f32_tolerance = c.f32_tolerance,
                    .f32_grad_tolerance = 4 * c.f32_tolerance});
  }
  rows.push_back({.op = "clone",
                  .variant = "",
                  .shapes = {{3, 7}},
                  .f = [](In x) { return x[0].clone(); },
                  .reference = [](Arrays x) { return x[0]; },
                  .sized =
                      [](Index n) {
                        return Shapes{{2, n}};
                      },
                  .large = {{3, 50'001}}});
  rows.push_back({.op = "tanh",
                  .variant = "of_one_number",
                  .shapes = {Shape{}},
                  .f = [](In x) { return x[0].tanh(); },
                  .reference = [](Arrays x) { return ref::map(x[0], [](double v) { return std::tanh(v); }); }});
}

void add_binary(std::vector<OpRow>& rows) {
  struct Case {
    const char* op;
    Tensor (*f)(const Tensor&, const Tensor&);
    double (*reference)(double, double);
    Domain a, b;
    double f32_tolerance = 1e-6;
  };
  const Case cases[] = {
      {"add", [](const Tensor& a, const Tensor& b) { return a + b; }, [](double a, double b) { return a + b; },
       Domain::any, Domain::any},
      {"sub", [](const Tensor& a, const Tensor& b) { return a - b; }, [](double a, double b) { return a - b; },
       Domain::any, Domain::any},
      {"mul", [](const Tensor& a, const Tensor& b) { return a * b; }, [](double a, double b) { return a * b; },
       Domain::any, Domain::any},
      {"div", [](const Tensor& a, const Tensor& b) { return a / b; }, [](double a, double b) { return a / b; },
       Domain::any, Domain::nonzero},
      {"maximum", [](const Tensor& a, const Tensor& b) { return maximum(a, b); },
       [](double a, double b) { return std::max(a, b); }, Domain::any, Domain::any},
      {"minimum", [](const Tensor& a, const Tensor& b) { return minimum(a, b); },
       [](double a, double b) { return std::min(a, b); }, Domain::any, Domain::any},
      {"pow", [](const Tensor& a, const Tensor& b) { return pow(a, b); },
       [](double a, double b) { return std::pow(a, b); }, Domain::positive, Domain::any, 4e-6},
  };
  struct Form {
    const char* variant;
    Shape a, b;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
  };
  const Form forms[] = {
      {"equal",
       {3, 7},
       {3, 7},
       [](Index n) {
         return Shapes{{2, n}, {2, n}};
       },
       {{3, 50'001}, {3, 50'001}}},
      {"one_number_right",
       {3, 7},
       {},
       [](Index n) {
         return Shapes{{n}, {}};
       },
       {{120'001}, {}}},
      {"one_number_left",
       {},
       {2, 5},
       [](Index n) {
         return Shapes{{1}, {n}};
       },
       {{}, {120'001}}},
      {"row_right",
       {4, 7},
       {7},
       [](Index n) {
         return Shapes{{3, n}, {n}};
       },
       {{400, 301}, {301}}},
      {"row_left",
       {1, 5},
       {2, 3, 5},
       [](Index n) {
         return Shapes{{1, n}, {3, n}};
       },
       {{301}, {400, 301}}},
      {"column_right",
       {3, 5},
       {3, 1},
       [](Index n) {
         return Shapes{{3, n}, {3, 1}};
       },
       {{400, 301}, {400, 1}}},
      {"column_times_row",
       {3, 1},
       {1, 4},
       [](Index n) {
         return Shapes{{3, 1}, {1, n}};
       },
       {{400, 1}, {1, 301}}},
      {"row_times_column",
       {1, 4},
       {3, 1},
       [](Index n) {
         return Shapes{{n}, {3, 1}};
       },
       {{1, 301}, {400, 1}}},
      {"leading_dimension",
       {3, 4},
       {2, 3, 4},
       [](Index n) {
         return Shapes{{2, n}, {2, 2, n}};
       },
       {{400, 21}, {13, 400, 21}}},
      {"middle_dimension",
       {2, 3, 4},
       {2, 1, 4},
       [](Index n) {
         return Shapes{{2, 3, n}, {2, 1, n}};
       },
       {{13, 400, 21}, {13, 1, 21}}},
      {"crossed",
       {2, 1, 3, 1},
       {4, 1, 5},
       [](Index n) {
         return Shapes{{2, 1, 3, 1}, {2, 1, n}};
       },
       {}},
      {"both_repeated", {1, 3}, {1, 3}, {}, {}},
  };
  for (const Case& c : cases) {
    for (const Form& form : forms) {
      rows.push_back({.op = c.op,
                      .variant = form.variant,
                      .shapes = {form.a, form.b},
                      .f = [f = c.f](In x) { return f(x[0], x[1]); },
                      .reference = [f = c.reference](Arrays x) { return ref::binary(x[0], x[1], f); },
                      .domains = {c.a, c.b},
                      .sized = form.sized,
                      .large = form.large,
                      .f32_tolerance = c.f32_tolerance,
                      // A gradient may sum a few dozen terms here.
                      .f32_grad_tolerance = 2e-5});
    }
  }
  rows.push_back({.op = "mul",
                  .variant = "by_itself",
                  .shapes = {{3, 7}},
                  .f = [](In x) { return x[0] * x[0]; },
                  .reference = [](Arrays x) { return ref::map(x[0], [](double v) { return v * v; }); },
                  .sized =
                      [](Index n) {
                        return Shapes{{2, n}};
                      }});
  rows.push_back(
      {.op = "div",
       .variant = "plain_numbers_on_both_sides",
       .shapes = {{2, 5}},
       .f = [](In x) { return 3.0 / (1.5 - x[0] * 0.5 + 2.0) - 1.0; },
       .reference = [](Arrays x) { return ref::map(x[0], [](double v) { return 3 / (3.5 - v / 2) - 1; }); }});
  struct Where {
    const char* variant;
    Shape condition, a, b;
    Shapes large = {};
  };
  for (const Where& w : {Where{"equal", {3, 7}, {3, 7}, {3, 7}, {{300, 401}, {300, 401}, {300, 401}}},
                         Where{"all_broadcast", {3, 1}, {7}, {2, 1, 1}}, Where{"one_number", {3, 7}, {}, {3, 7}}}) {
    rows.push_back({.op = "where",
                    .variant = w.variant,
                    .shapes = {w.condition, w.a, w.b},
                    .f = [](In x) { return where(x[0], x[1], x[2]); },
                    .reference = [](Arrays x) { return ref::where(x[0], x[1], x[2]); },
                    .domains = {Domain::flags, Domain::any},
                    .no_gradient = {0},
                    .sized =
                        [](Index n) {
                          return Shapes{{2, n}, {n}, {2, 1}};
                        },
                    .large = w.large,
                    .f32_grad_tolerance = 2e-5});
  }
  for (const auto& [variant, from, to] :
       {std::tuple{"rows", Shape{1, 5}, Shape{3, 5}}, std::tuple{"one_number", Shape{}, Shape{2, 3}},
        std::tuple{"same", Shape{2, 3}, Shape{2, 3}}}) {
    rows.push_back({.op = "broadcast_to",
                    .variant = variant,
                    .shapes = {from},
                    .f = [to = to](In x) { return broadcast_to(x[0], to); },
                    .reference =
                        [to = to](Arrays x) {
                          return ref::make(to, [&](const ref::Indices& i) { return ref::broadcast_at(x[0], i); });
                        }});
  }
}

void add_shape(std::vector<OpRow>& rows) {
  rows.push_back({.op = "reshape",
                  .variant = "",
                  .shapes = {{3, 4}},
                  .f =
                      [](In x) {
                        return reshape(x[0], {2, x[0].numel() / 2, 1});
                      },
                  .reference =
                      [](Arrays x) {
                        return Array{{2, x[0].shape.numel() / 2, 1}, x[0].values};
                      },
                  .sized =
                      [](Index n) {
                        return Shapes{{2, n}};
                      },
                  .large = {{300, 500}}});
  struct Permutation {
    const char* variant;
    Shape shape;
    std::vector<Index> dims;
    Shape large = {};
  };
  for (const Permutation& p :
       {Permutation{"two", {3, 5}, {1, 0}, {300, 501}}, Permutation{"three", {2, 3, 4}, {2, 0, 1}, {40, 60, 51}},
        Permutation{"four", {2, 3, 4, 5}, {0, 2, 1, 3}, {5, 40, 60, 13}}, Permutation{"identity", {2, 3}, {0, 1}}}) {
    rows.push_back({.op = "permute",
                    .variant = p.variant,
                    .shapes = {p.shape},
                    .f = [dims = p.dims](In x) { return permute(x[0], dims); },
                    .reference = [dims = p.dims](Arrays x) { return ref::permute(x[0], dims); },
                    .sized =
                        [shape = p.shape](Index n) {
                          Shape sized = shape;
                          sized.set(-1, n);
                          return Shapes{sized};
                        },
                    .large = p.large.rank() == 0 ? Shapes{} : Shapes{p.large}});
  }
  rows.push_back({.op = "permute",
                  .variant = "negative_dims",
                  .shapes = {{2, 3, 4}},
                  .f =
                      [](In x) {
                        return permute(x[0], {-2, 0, -1});
                      },
                  .reference =
                      [](Arrays x) {
                        return ref::permute(x[0], {1, 0, 2});
                      }});
  rows.push_back({.op = "transpose",
                  .variant = "last_two",
                  .shapes = {{2, 3, 4}},
                  .f = [](In x) { return transpose(x[0]); },
                  .reference =
                      [](Arrays x) {
                        return ref::permute(x[0], {0, 2, 1});
                      }});
  rows.push_back({.op = "transpose",
                  .variant = "outer",
                  .shapes = {{2, 3, 4}},
                  .f = [](In x) { return transpose(x[0], 0, 2); },
                  .reference =
                      [](Arrays x) {
                        return ref::permute(x[0], {2, 1, 0});
                      }});
  rows.push_back({.op = "slice",
                  .variant = "rows",
                  .shapes = {{5, 3}},
                  .f = [](In x) { return slice(x[0], 0, 1, 4); },
                  .reference = [](Arrays x) { return ref::slice(x[0], 0, 1, 4); },
                  .sized =
                      [](Index n) {
                        return Shapes{{5, n}};
                      },
                  .large = {{5, 60'001}}});
  rows.push_back({.op = "slice",
                  .variant = "columns",
                  .shapes = {{2, 3, 6}},
                  .f = [](In x) { return slice(x[0], -1, x[0].size(-1) / 3, x[0].size(-1)); },
                  .reference = [](Arrays x) { return ref::slice(x[0], 2, x[0].shape[2] / 3, x[0].shape[2]); },
                  .sized =
                      [](Index n) {
                        return Shapes{{2, 2, n}};
                      }});
  rows.push_back({.op = "slice",
                  .variant = "middle",
                  .shapes = {{2, 5, 3}},
                  .f = [](In x) { return slice(x[0], 1, 2, 3); },
                  .reference = [](Arrays x) { return ref::slice(x[0], 1, 2, 3); }});
  struct Join {
    const char* variant;
    Shapes shapes;
    Index dim;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
  };
  for (const Join& j : {Join{"rows",
                             {{2, 3}, {1, 3}, {4, 3}},
                             0,
                             [](Index n) {
                               return Shapes{{2, n}, {1, n}};
                             },
                             {{30, 2001}, {50, 2001}}},
                        Join{"columns",
                             {{2, 3}, {2, 5}},
                             -1,
                             [](Index n) {
                               return Shapes{{2, n}, {2, 3}};
                             }},
                        Join{"middle", {{2, 3, 4}, {2, 1, 4}}, 1}, Join{"one_part", {{2, 3}}, 0}}) {
    rows.push_back(
        {.op = "concat",
         .variant = j.variant,
         .shapes = j.shapes,
         .f = [dim = j.dim](In x) { return concat(x, dim); },
         .reference = [dim = j.dim](Arrays x) { return ref::concat(x, dim < 0 ? dim + x[0].shape.rank() : dim); },
         .sized = j.sized,
         .large = j.large});
  }
  for (const auto& [variant, dim] : {std::pair{"first", 0}, std::pair{"middle", 1}, std::pair{"last", -1}}) {
    rows.push_back({.op = "stack",
                    .variant = variant,
                    .shapes = {{2, 3}, {2, 3}, {2, 3}},
                    .f = [dim = dim](In x) { return stack(x, dim); },
                    .reference = [dim = dim](Arrays x) { return ref::stack(x, dim < 0 ? 2 : dim); }});
  }
  rows.push_back({.op = "to",
                  .variant = "the_other_type_and_back",
                  .shapes = {{3, 5}},
                  .f =
                      [](In x) {
                        const DType here = x[0].dtype();
                        return x[0].to(here == DType::f32 ? DType::f64 : DType::f32).to(here);
                      },
                  .reference = [](Arrays x) { return x[0]; },
                  .domains = {Domain::whole},
                  .sized =
                      [](Index n) {
                        return Shapes{{2, n}};
                      },
                  .large = {{120'001}},
                  .f64_tolerance = 1e-6,  // the gradient passes through f32
                  .gradcheck_step = 1.0 / 1024});
}

void add_reductions(std::vector<OpRow>& rows) {
  struct Kind {
    const char* op;
    Tensor (*all)(const Tensor&);
    Tensor (*some)(const Tensor&, std::vector<Index>, bool);
    double (*reference)(const std::vector<double>&);
    Domain domain;
  };
  const Kind kinds[] = {
      {"sum", [](const Tensor& x) { return sum(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return sum(x, std::move(dims), keepdim); },
       ref::sum_of, Domain::any},
      {"mean", [](const Tensor& x) { return mean(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return mean(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) { return ref::sum_of(v) / static_cast<double>(v.size()); }, Domain::any},
      {"max", [](const Tensor& x) { return max(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return max(x, std::move(dims), keepdim); },
       ref::max_of, Domain::distinct},
      {"var", [](const Tensor& x) { return var(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return var(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) { return ref::variance_of(v, 1); }, Domain::any},
  };
  struct Form {
    const char* variant;
    Shape shape;
    std::vector<Index> dims;
    bool keepdim;
    std::function<Shapes(Index)> sized = {};
    Shape large = {};
  };
  const Form forms[] = {
      {"last",
       {3, 7},
       {1},
       false,
       [](Index n) {
         return Shapes{{3, n}};
       },
       {3000, 71}},
      {"last_kept", {3, 7}, {-1}, true, {}},
      {"first",
       {5, 3},
       {0},
       false,
       [](Index n) {
         return Shapes{{4, n}};
       },
       {3000, 71}},
      {"middle",
       {2, 5, 3},
       {1},
       false,
       [](Index n) {
         return Shapes{{2, 3, n}};
       },
       {3, 1000, 71}},
      {"middle_kept", {2, 5, 3}, {-2}, true, {}},
      {"last_two", {2, 3, 4}, {1, 2}, false, {}},
      {"first_two", {2, 3, 4}, {0, 1}, true, {}},
      {"neighbors_inside", {2, 3, 2, 3}, {2, 1}, false, {}},
      {"not_neighbors",
       {2, 3, 4},
       {0, 2},
       false,
       [](Index n) {
         return Shapes{{2, 3, n}};
       },
       {50, 60, 51}},
      {"not_neighbors_kept", {2, 3, 4, 2}, {-4, 2}, true, {}},
      {"all_named", {2, 3}, {0, -1}, true, {}},
  };
  for (const Kind& kind : kinds) {
    rows.push_back({.op = kind.op,
                    .variant = "all",
                    .shapes = {{3, 7}},
                    .f = [f = kind.all](In x) { return f(x[0]); },
                    .reference =
                        [f = kind.reference](Arrays x) {
                          return Array{{}, {f(x[0].values)}};
                        },
                    .domains = {kind.domain},
                    .sized =
                        [](Index n) {
                          return Shapes{{2, n}};
                        },
                    .large = {{3, 70'001}},
                    .f32_tolerance = 5e-6,  // sums of terms of both signs: the rounding is relative to the terms
                    .f32_grad_tolerance = 1e-5});
    for (const Form& form : forms) {
      auto sized = form.sized;
      if (std::string(kind.op) == "var" && std::string(form.variant) == "last") {
        sized = [](Index n) { return Shapes{{3, n + 1}}; };  // one value has no variance
      }
      rows.push_back(
          {.op = kind.op,
           .variant = form.variant,
           .shapes = {form.shape},
           .f = [f = kind.some, dims = form.dims, keepdim = form.keepdim](In x) { return f(x[0], dims, keepdim); },
           .reference =
               [f = kind.reference, dims = form.dims, keepdim = form.keepdim](Arrays x) {
                 std::vector<Index> positive;
                 for (const Index d : dims) positive.push_back(d < 0 ? d + x[0].shape.rank() : d);
                 return ref::reduce(x[0], positive, keepdim, f);
               },
           .domains = {kind.domain},
           .sized = sized,
           .large = form.large.rank() == 0 ? Shapes{} : Shapes{form.large},
           .f32_tolerance = 5e-6,
           .f32_grad_tolerance = 1e-5});
    }
  }
  for (const double correction : {0.0, 0.5}) {
    rows.push_back({.op = "var",
                    .variant = correction == 0 ? "uncorrected" : "half_corrected",
                    .shapes = {{3, 7}},
                    .f = [correction](In x) { return var(x[0], {1}, false, correction); },
                    .reference =
                        [correction](Arrays x) {
                          return ref::reduce(x[0], {1}, false, [&](const std::vector<double>& v) {
                            return ref::variance_of(v, correction);
                          });
                        },
                    .sized =
                        [](Index n) {
                          return Shapes{{3, n}};
                        },
                    .f32_tolerance = 5e-6,
                    .f32_grad_tolerance = 1e-5});
  }
  rows.push_back({.op = "sum",
                  .variant = "of_one_number",
                  .shapes = {Shape{}},
                  .f = [](In x) { return sum(x[0]); },
                  .reference = [](Arrays x) { return x[0]; }});
}

void add_products(std::vector<OpRow>& rows) {
  struct Product {
    const char* variant;
    Shape a, b;
    bool transpose_a = false, transpose_b = false;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
    bool directions = false;
  };
  const Product products[] = {
      {"vectors",
       {7},
       {7},
       false,
       false,
       [](Index n) {
         return Shapes{{n}, {n}};
       }},
      {"matrix_vector",
       {3, 5},
       {5},
       false,
       false,
       [](Index n) {
         return Shapes{{3, n}, {n}};
       }},
      {"vector_matrix",
       {5},
       {5, 3},
       false,
       false,
       [](Index n) {
         return Shapes{{5}, {5, n}};
       }},
      {"vector_batch", {4}, {2, 4, 3}},
      {"batch_vector", {2, 3, 4}, {4}},
      {"small",
       {3, 4},
       {4, 5},
       false,
       false,
       [](Index n) {
         return Shapes{{3, 4}, {4, n}};
       },
       {{300, 257}, {257, 301}}},
      {"inner_size",
       {3, 4},
       {4, 5},
       false,
       false,
       [](Index n) {
         return Shapes{{3, n}, {n, 2}};
       }},
      {"rows",
       {3, 4},
       {4, 5},
       false,
       false,
       [](Index n) {
         return Shapes{{n, 3}, {3, 5}};
       }},
      {"transposed_a",
       {4, 3},
       {4, 5},
       true,
       false,
       [](Index n) {
         return Shapes{{4, n}, {4, 3}};
       },
       {{257, 300}, {257, 301}}},
      {"transposed_b",
       {3, 4},
       {5, 4},
       false,
       true,
       [](Index n) {
         return Shapes{{3, 4}, {n, 4}};
       },
       {{300, 257}, {301, 257}}},
      {"transposed_both",
       {4, 3},
       {5, 4},
       true,
       true,
       [](Index n) {
         return Shapes{{n, 3}, {5, n}};
       },
       {{257, 300}, {301, 257}}},
      {"all_sizes_1", {1, 1}, {1, 1}},
      {"one_row", {1, 5}, {5, 7}},
      {"one_column", {5, 4}, {4, 1}},
      {"outer_product", {5, 1}, {1, 7}},
      {"batched",
       {3, 2, 4},
       {3, 4, 5},
       false,
       false,
       [](Index n) {
         return Shapes{{2, 3, n}, {2, n, 2}};
       },
       {{12, 65, 33}, {12, 33, 47}}},
      {"batched_transposed",
       {2, 4, 3},
       {2, 5, 4},
       true,
       true,
       [](Index n) {
         return Shapes{{2, n, 3}, {2, 5, n}};
       }},
      {"shared_weight",
       {2, 3, 4},
       {4, 5},
       false,
       false,
       [](Index n) {
         return Shapes{{2, 3, 4}, {4, n}};
       },
       {{12, 65, 33}, {33, 47}}},
      {"shared_weight_transposed", {2, 3, 4}, {5, 4}, false, true},
      {"shared_weight_both_transposed", {2, 4, 3}, {5, 4}, true, true},
      {"shared_left", {3, 4}, {2, 4, 5}, false, false, {}, {{65, 33}, {12, 33, 47}}},
      {"shared_left_transposed", {4, 3}, {2, 4, 5}, true, false},
      {"broadcast", {2, 1, 3, 4}, {5, 4, 2}},
      {"broadcast_both_ways_transposed", {2, 1, 4, 3}, {1, 3, 2, 4}, true, true, {}, {{3, 1, 33, 65}, {1, 4, 47, 33}}},
      {"rank_5", {2, 1, 2, 2, 3}, {2, 1, 3, 2}},
      {"tiles", {13, 33}, {33, 13}},
      {"blocks", {37, 300}, {300, 257}, false, false, {}, {}, true},
      {"blocks_transposed", {300, 33}, {257, 300}, true, true, {}, {}, true},
      {"deep", {13, 1030}, {1030, 33}, false, false, {}, {}, true},
      {"tall", {2061, 17}, {17, 35}, false, false, {}, {}, true},
      {"broad", {9, 11}, {11, 4133}, false, false, {}, {}, true},
      {"one_row_of_a_large_matrix", {1, 300}, {257, 300}, false, true, {}, {}, true},
  };
  for (const Product& p : products) {
    // k products of both signs: the rounding grows with their number, not with the result. A gradient sums over m or n.
    Index longest = 1;
    for (const Shape& shape : {p.a, p.b}) longest = std::max(longest, *std::max_element(shape.begin(), shape.end()));
    const double k = static_cast<double>(longest);
    rows.push_back(
        {.op = "matmul",
         .variant = p.variant,
         .shapes = {p.a, p.b},
         .f = [ta = p.transpose_a, tb = p.transpose_b](In x) { return matmul(x[0], x[1], ta, tb); },
         .reference = [ta = p.transpose_a, tb = p.transpose_b](Arrays x) { return ref::matmul(x[0], x[1], ta, tb); },
         .sized = p.sized,
         .large = p.large,
         .f32_tolerance = 5e-6 + 1e-7 * k,
         .f32_grad_tolerance = 1e-5 + 2e-7 * k,
         .f64_tolerance = p.directions ? 1e-11 : 1e-12,  // a thousand terms, summed in another order
         .directions = p.directions});
  }
  struct Linear {
    const char* variant;
    Shape x, weight;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
    bool directions = false;
  };
  const Linear linears[] = {
      {"row",
       {5},
       {3, 5},
       [](Index n) {
         return Shapes{{n}, {3, n}, {3}};
       }},
      {"rows",
       {4, 5},
       {3, 5},
       [](Index n) {
         return Shapes{{4, 5}, {n, 5}, {n}};
       },
       {{600, 65}, {129, 65}, {129}}},
      {"three_dimensions",
       {2, 3, 4},
       {5, 4},
       [](Index n) {
         return Shapes{{2, 2, n}, {5, n}, {5}};
       }},
      {"blocks", {50, 300}, {257, 300}, {}, {{70, 300}, {257, 300}, {257}}, true},
      {"broad", {3, 7}, {4133, 7}, {}, {}, true},
  };
  for (const Linear& l : linears) {
    for (const bool bias : {true, false}) {
      const auto without_bias = [bias](Shapes shapes) {
        if (!bias && shapes.size() == 3) shapes.pop_back();
        return shapes;
      };
      std::function<Shapes(Index)> sized;
      if (l.sized) sized = [=, given = l.sized](Index n) { return without_bias(given(n)); };
      rows.push_back({.op = "linear",
                      .variant = std::string(l.variant) + (bias ? "" : "_without_bias"),
                      .shapes = without_bias({l.x, l.weight, {l.weight[0]}}),
                      .f = [bias](In x) { return bias ? linear(x[0], x[1], x[2]) : linear(x[0], x[1]); },
                      .reference = [bias](Arrays x) { return ref::linear(x[0], x[1], bias ? &x[2] : nullptr); },
                      .sized = sized,
                      .large = without_bias(l.large),
                      .f32_tolerance = l.directions ? 4e-5 : 5e-6,
                      .f32_grad_tolerance = l.directions ? 8e-5 : 1e-5,
                      .f64_tolerance = l.directions ? 1e-11 : 1e-12,
                      .directions = l.directions});
    }
  }
}

void add_row_wise(std::vector<OpRow>& rows) {
  struct Softmax {
    const char* variant;
    Shape shape;
    Index dim;
    Domain domain = Domain::any;
    std::function<Shapes(Index)> sized = {};
    Shape large = {};
  };
  const Softmax forms[] = {
      {"last",
       {3, 7},
       -1,
       Domain::any,
       [](Index n) {
         return Shapes{{3, n}};
       },
       {3000, 71}},
      {"wide",
       {3, 7},
       -1,
       Domain::wide,
       [](Index n) {
         return Shapes{{2, n}};
       }},
      {"first",
       {4, 3},
       0,
       Domain::any,
       [](Index n) {
         return Shapes{{4, n}};
       },
       {300, 401}},
      {"middle", {2, 4, 3}, 1},
      {"vector", {7}, 0},
  };
  for (const bool logarithm : {false, true}) {
    for (const Softmax& form : forms) {
      rows.push_back(
          {.op = logarithm ? "log_softmax" : "softmax",
           .variant = form.variant,
           .shapes = {form.shape},
           .f = [logarithm, dim = form.dim](In x) { return logarithm ? log_softmax(x[0], dim) : softmax(x[0], dim); },
           .reference =
               [logarithm, dim = form.dim](Arrays x) {
                 return ref::softmax(x[0], dim < 0 ? dim + x[0].shape.rank() : dim, logarithm);
               },
           .domains = {form.domain},
           .sized = form.sized,
           .large = form.large.rank() == 0 ? Shapes{} : Shapes{form.large},
           .f32_tolerance = 2e-6,
           .f32_grad_tolerance = 1e-5});
    }
  }
  struct Norm {
    const char* variant;
    Shape shape;
    bool weight, bias;
    std::function<Shape(Index)> sized = {};
    Shape large = {};
  };
  const Norm norms[] = {
      {"plain",
       {3, 7},
       false,
       false,
       [](Index n) {
         return Shape{3, n};
       },
       {3000, 71}},
      {"weight",
       {3, 7},
       true,
       false,
       [](Index n) {
         return Shape{3, n};
       },
       {3000, 71}},
      {"weight_and_bias",
       {3, 7},
       true,
       true,
       [](Index n) {
         return Shape{3, n};
       },
       {3000, 71}},
      {"bias",
       {3, 7},
       false,
       true,
       [](Index n) {
         return Shape{2, n};
       }},
      {"three_dimensions",
       {2, 3, 5},
       true,
       true,
       [](Index n) {
         return Shape{2, 2, n};
       }},
      {"vector", {7}, true, true, {}},
  };
  for (const bool layer : {true, false}) {
    for (const Norm& norm : norms) {
      if (!layer && std::string(norm.variant) == "bias") continue;
      const bool bias = layer && norm.bias;
      const auto all = [weight = norm.weight, bias](const Shape& x) {
        Shapes shapes{x};
        if (weight) shapes.push_back({x[-1]});
        if (bias) shapes.push_back({x[-1]});
        return shapes;
      };
      std::function<Shapes(Index)> sized;
      if (norm.sized) sized = [=, given = norm.sized](Index n) { return all(given(n)); };
      // eps is larger than usual because a row of two nearly equal numbers would magnify rounding a hundredfold.
      constexpr double eps = 1e-2;
      rows.push_back({.op = layer ? "layer_norm" : "rms_norm",
                      .variant = norm.variant,
                      .shapes = all(norm.shape),
                      .f =
                          [layer, weight = norm.weight, bias](In x) {
                            const Tensor w = weight ? x[1] : Tensor(), b = bias ? x[weight ? 2 : 1] : Tensor();
                            return layer ? layer_norm(x[0], w, b, eps) : rms_norm(x[0], w, eps);
                          },
                      .reference =
                          [layer, weight = norm.weight, bias](Arrays x) {
                            const Array *const w = weight ? &x[1] : nullptr, *const b =
                                                                                 bias ? &x[weight ? 2 : 1] : nullptr;
                            return layer ? ref::layer_norm(x[0], w, b, eps) : ref::rms_norm(x[0], w, eps);
                          },
                      .sized = sized,
                      .large = norm.large.rank() == 0 ? Shapes{} : all(norm.large),
                      .f32_tolerance = 5e-6,
                      .f32_grad_tolerance = 3e-5});  // differences of sums, divided by a small deviation
    }
  }
}

// Targets and ids that follow from the sizes, so that a row needs only shapes.
std::vector<std::int32_t> picks(Index count, Index below, std::int32_t every_third = -1) {
  std::vector<std::int32_t> ids;
  for (Index i = 0; i < count; ++i) {
    const Index id = (i * 7 + 3) % std::max<Index>(1, below);
    ids.push_back(every_third >= 0 || i % 3 != 1 ? static_cast<std::int32_t>(id) : every_third);
  }
  return ids;
}

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

void add_networks(std::vector<OpRow>& rows) {
  rows.push_back({.op = "embedding",
                  .variant = "repeated_ids",
                  .shapes = {{5, 3}},
                  .f = [](In x) { return embedding(x[0], picks(11, x[0].size(0), 0)); },
                  .reference = [](Arrays x) { return ref::embedding(x[0], picks(11, x[0].shape[0], 0), {11}); },
                  .sized =
                      [](Index n) {
                        return Shapes{{5, n}};
                      },
                  .f32_grad_tolerance = 1e-5});
  rows.push_back({.op = "embedding",
                  .variant = "ids_of_two_dimensions",
                  .shapes = {{5, 3}},
                  .f =
                      [](In x) {
                        return embedding(x[0], picks(600, x[0].size(0), 0), {2, 300});
                      },
                  .reference =
                      [](Arrays x) {
                        return ref::embedding(x[0], picks(600, x[0].shape[0], 0), {2, 300});
                      },
                  .large = {{50, 260}},
                  .f32_grad_tolerance = 1e-4});  // 120 terms for each row
  rows.push_back({.op = "dropout",
                  .variant = "",
                  .shapes = {{3, 7}},
                  .f =
                      [](In x) {
                        Generator generator(7);
                        return dropout(x[0], 0.3, true, generator);
                      },
                  .reference = [](Arrays x) { return ref::dropout(x[0], 0.3, 7); },
                  .sized =
                      [](Index n) {
                        return Shapes{{2, n}};
                      },
                  .large = {{300, 401}}});
  rows.push_back({.op = "dropout",
                  .variant = "off",
                  .shapes = {{3, 7}},
                  .f = [](In x) { return dropout(x[0], 0.3, false); },
                  .reference = [](Arrays x) { return x[0]; }});
  struct CrossEntropy {
    const char* variant;
    Shape shape;
    std::int32_t ignored;
    Domain domain = Domain::any;
    double smoothing = 0;
  };
  for (const CrossEntropy& c :
       {CrossEntropy{"all_targets", {5, 7}, -1}, CrossEntropy{"ignored_targets", {5, 7}, -100},
        CrossEntropy{"three_dimensions", {2, 3, 4}, -1}, CrossEntropy{"wide", {5, 7}, -1, Domain::wide},
        CrossEntropy{"vector", {7}, -1}, CrossEntropy{"smoothed", {5, 7}, -1, Domain::any, 0.1},
        CrossEntropy{"smoothed_ignored_targets", {5, 7}, -100, Domain::any, 0.3}}) {
    const auto targets = [ignored = c.ignored](const Shape& shape) {
      return picks(shape.as_matrix().rows, shape[-1], ignored == -1 ? 0 : ignored);
    };
    rows.push_back(
        {.op = "cross_entropy",
         .variant = c.variant,
         .shapes = {c.shape},
         .f = [=](In x) { return cross_entropy(x[0], targets(x[0].shape()), c.ignored, c.smoothing); },
         .reference = [=](Arrays x) { return ref::cross_entropy(x[0], targets(x[0].shape), c.ignored, c.smoothing); },
         .domains = {c.domain},
         .sized =
             [rank = c.shape.rank()](Index n) {
               return Shapes{rank == 3 ? Shape{2, 2, n} : Shape{4, n}};
             },
         .large = {{3000, 71}},
         .f32_tolerance = 2e-6});
  }
  rows.push_back({.op = "mse_loss",
                  .variant = "",
                  .shapes = {{3, 5}, {3, 5}},
                  .f = [](In x) { return mse_loss(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        double sum = 0;
                        for (std::size_t i = 0; i < x[0].values.size(); ++i) {
                          sum += std::pow(x[0].values[i] - x[1].values[i], 2);
                        }
                        return Array{{}, {sum / static_cast<double>(x[0].values.size())}};
                      },
                  .sized =
                      [](Index n) {
                        return Shapes{{2, n}, {2, n}};
                      }});

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
       [](Index n) {
         return Shapes{{2, 3, n}, {2, 3, n}, {2, 3, n}};
       },
       {{40, 60, 16}, {40, 60, 16}, {40, 60, 16}}},
      {"causal",
       {2, 5, 4},
       {2, 5, 4},
       {2, 5, 4},
       true,
       0,
       [](Index n) {
         return Shapes{{2, 3, n}, {2, 3, n}, {2, 3, n}};
       },
       {{40, 60, 16}, {40, 60, 16}, {40, 60, 16}}},
      {"length",
       {1, 3, 2},
       {1, 3, 2},
       {1, 3, 2},
       false,
       0,
       [](Index n) {
         return Shapes{{1, n, 2}, {1, n, 2}, {1, n, 2}};
       }},
      {"causal_length",
       {1, 3, 2},
       {1, 3, 2},
       {1, 3, 2},
       true,
       0,
       [](Index n) {
         return Shapes{{1, n, 2}, {1, n, 2}, {1, n, 2}};
       }},
      {"more_keys",
       {2, 3, 4},
       {2, 7, 4},
       {2, 7, 4},
       false,
       0,
       [](Index n) {
         return Shapes{{1, 3, 4}, {1, n, 4}, {1, n, 4}};
       }},
      {"more_keys_causal",
       {2, 3, 4},
       {2, 7, 4},
       {2, 7, 4},
       true,
       0,
       [](Index n) {
         return Shapes{{1, 3, 4}, {1, n + 2, 4}, {1, n + 2, 4}};
       }},
      {"fewer_keys_causal", {2, 7, 4}, {2, 3, 4}, {2, 3, 4}, true},
      {"other_value_size",
       {2, 3, 4},
       {2, 5, 4},
       {2, 5, 6},
       false,
       0,
       [](Index n) {
         return Shapes{{1, 3, 4}, {1, 3, 4}, {1, 3, n}};
       }},
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
      {"ragged",
       {77, 12},
       2,
       true,
       0,
       [](Index n) {
         return Shapes{{9, 6 * n}};
       },
       {{700, 48}}},
      {"not_causal", {77, 12}, 2, false, 0, {}, {{700, 48}}},
      {"rows",
       {9, 6},
       1,
       true,
       0.6,
       [](Index n) {
         return Shapes{{n, 6}};
       }},
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
         .f32_tolerance = 5e-6,
         .f32_grad_tolerance = 3e-5});
  }
}

}  // namespace

const std::vector<OpRow>& op_table() {
  static const std::vector<OpRow> rows = [] {
    std::vector<OpRow> all;
    for (const auto add : {add_unary, add_binary, add_shape, add_reductions, add_products, add_row_wise, add_networks,
                           add_windows_and_losses}) {
      add(all);
    }
    return all;
  }();
  return rows;
}

void PrintTo(const OpRow* row, std::ostream* out) {
  *out << row->name();
}

std::vector<Array> make_inputs(const OpRow& row, const std::vector<Shape>& shapes) {
  std::uint32_t seed = 2166136261U;  // FNV-1a of the name
  for (const char c : row.name()) seed = (seed ^ static_cast<unsigned char>(c)) * 16777619U;
  std::mt19937 engine(seed);
  const auto between = [&](double low, double high) {
    return static_cast<double>(
        static_cast<float>(low + (high - low) * static_cast<double>(engine() % 1'000'003) / 1'000'003));
  };
  std::vector<Array> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const Domain domain = row.domains[std::min(i, row.domains.size() - 1)];
    Array x{shapes[i], std::vector<double>(static_cast<std::size_t>(shapes[i].numel()))};
    if (domain == Domain::distinct) {
      for (std::size_t j = 0; j < x.values.size(); ++j) x.values[j] = (static_cast<double>(j) - 5) / 16;
      std::shuffle(x.values.begin(), x.values.end(), engine);
    } else {
      for (double& value : x.values) {
        switch (domain) {
          case Domain::any:
            value = between(-2, 2);
            break;
          case Domain::wide:
            value = between(-20, 20);
            break;
          case Domain::low:
            value = between(-20, 2);
            break;
          case Domain::positive:
            value = between(0.5, 2);
            break;
          case Domain::nonzero:
            value = between(0.2, 2) * (engine() % 2 == 0 ? 1 : -1);
            break;
          case Domain::whole:
            value = std::floor(between(0, 1000)) / 1024;
            break;
          case Domain::flags:
            value = engine() % 2 == 0 ? 0 : 1;
            break;
          case Domain::distinct:
            break;
        }
      }
    }
    inputs.push_back(std::move(x));
  }
  return inputs;
}

}  // namespace gradus::testing
