// profile(): which ops ran, how much work they were, and rows that add up to the whole. No test looks at how long
// anything takes, but for sleeps, which have a least length.
#include <gradus/core/inspect/profile.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/anomaly.h>
#include <gradus/core/ops.h>
#include <gradus/core/watch.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

Tensor leaf(const Shape& shape, DType dtype = DType::f32) {
  return full(shape, 0.5, dtype).requires_grad(true);
}

const ProfileRow& row(const std::vector<ProfileRow>& rows, const std::string& name) {
  static const ProfileRow none{.name = "no such row", .calls = -1};
  const auto found = std::ranges::find(rows, name, &ProfileRow::name);
  EXPECT_NE(found, rows.end()) << name;
  return found == rows.end() ? none : *found;
}

std::vector<std::string> names(const std::vector<ProfileRow>& rows) {
  std::vector<std::string> all;
  for (const ProfileRow& row : rows) all.push_back(row.name);
  return all;
}

Index sum_of_times(const std::vector<ProfileRow>& rows) {
  Index sum = 0;
  for (const ProfileRow& row : rows) sum += row.time();
  return sum;
}

// The work of the forward and of the backward of one op of f.
std::pair<double, double> flops_of(const char* op, const std::function<Tensor()>& f) {
  std::pair<double, double> flops{-1, -1};
  for (const ProfileEvent& event : profile([&] { sum(f()).backward(); }).events) {
    if (std::string(event.step) == op) (event.backward ? flops.second : flops.first) = event.flops;
  }
  return flops;
}
std::pair<double, double> bytes_of(const char* op, const std::function<Tensor()>& f) {
  std::pair<double, double> bytes{-1, -1};
  for (const ProfileEvent& event : profile([&] { sum(f()).backward(); }).events) {
    if (std::string(event.step) == op) (event.backward ? bytes.second : bytes.first) = event.bytes;
  }
  return bytes;
}

using Pair = std::pair<double, double>;

TEST(Profile, CountsCallsAndTellsForwardFromBackward) {
  const Tensor x = leaf({2, 3});
  Tensor y;
  const ProfileReport forward = profile([&] { y = sum(exp(x) * exp(x)); });
  EXPECT_EQ(row(forward.ops, "exp").calls, 2);
  EXPECT_EQ(row(forward.ops, "mul").calls, 1);
  EXPECT_EQ(row(forward.ops, "exp").backward, 0);
  EXPECT_EQ(forward.events.size(), 4U);
  EXPECT_TRUE(forward.modules.empty());
  const ProfileReport backward = profile([&] { y.backward(); });
  EXPECT_EQ(row(backward.ops, "exp").calls, 0);
  EXPECT_EQ(row(backward.ops, "exp").forward, 0);
  EXPECT_GT(row(backward.ops, "exp").backward, 0);
  EXPECT_EQ(backward.events.size(), 4U);
  EXPECT_STREQ(backward.events.front().op, "sum");
  EXPECT_EQ(backward.events.front().inputs, std::vector<Shape>{Shape({2, 3})});
}

TEST(Profile, CountsFlopsOfProducts) {
  const Tensor x = leaf({2, 5, 3}), data = full({2, 5, 3}, 1), weight = leaf({4, 3}), bias = leaf({4});
  EXPECT_EQ(flops_of("linear", [&] { return linear(x, weight, bias); }), Pair(2 * 10 * 4 * 3, 2 * 2 * 10 * 4 * 3));
  EXPECT_EQ(flops_of("linear", [&] { return linear(data, weight, bias); }), Pair(240, 240));
  const Tensor a = leaf({6, 2, 7}), b = leaf({6, 7, 3});
  EXPECT_EQ(flops_of("matmul", [&] { return matmul(a, b); }), Pair(2 * 6 * 2 * 3 * 7, 4 * 6 * 2 * 3 * 7));
  EXPECT_EQ(flops_of("matmul", [&] { return matmul(b, a, true, true); }), Pair(504, 1008));
  const Tensor image = leaf({2, 4, 5, 5}), kernel = leaf({6, 2, 3, 3}), back = leaf({4, 3, 2, 2});
  EXPECT_EQ(flops_of("conv2d", [&] { return conv2d(image, kernel, {}, {.groups = 2}); }),
            Pair(2 * (2 * 6 * 3 * 3) * (2 * 3 * 3), 4 * (2 * 6 * 3 * 3) * (2 * 3 * 3)));
  EXPECT_EQ(flops_of("conv_transpose2d", [&] { return conv_transpose2d(image, back); }).first,
            2 * (2 * 4 * 5 * 5) * (3 * 2 * 2));
}

TEST(Profile, CountsFlopsOfAttentionByTheKeysThatAreSeen) {
  const char* const plain = "scaled_dot_product_attention";
  const Tensor q = leaf({2, 3, 5, 4}), k = leaf({2, 3, 7, 4}), v = leaf({2, 3, 7, 6});
  EXPECT_EQ(flops_of(plain, [&] { return scaled_dot_product_attention(q, k, v); }),
            Pair(6 * 2 * 35 * (4 + 6), 6 * 4 * 35 * (4 + 6)));
  // The last query sees 7 keys, the first 3.
  EXPECT_EQ(flops_of(plain, [&] { return scaled_dot_product_attention(q, k, v, {.causal = true}); }).first,
            6 * 2 * (3 + 4 + 5 + 6 + 7) * (4 + 6));
  // Of more queries than keys the first see none.
  EXPECT_EQ(flops_of(plain, [&] { return scaled_dot_product_attention(k, q, q, {.causal = true}); }).first,
            6 * 2 * (1 + 2 + 3 + 4 + 5) * (4 + 4));
  const Tensor qkv = leaf({5, 3 * 8});
  const std::vector<Index> lengths{2, 3};
  EXPECT_EQ(flops_of("packed_attention", [&] { return packed_attention(qkv, 2, lengths, {.causal = true}); }),
            Pair(2 * (3 + 6) * 2 * (4 + 4), 4 * (3 + 6) * 2 * (4 + 4)));
}

TEST(Profile, CountsOtherFlopsByElements) {
  const Tensor x = leaf({2, 3}), line = leaf({3});
  EXPECT_EQ(flops_of("exp", [&] { return exp(x); }), Pair(6, 6));
  EXPECT_EQ(flops_of("add", [&] { return x + line; }), Pair(6, 12));
  EXPECT_EQ(flops_of("max", [&] { return max(x); }), Pair(6, 6));
  EXPECT_EQ(flops_of("permute", [&] { return permute(x, {1, 0}); }), Pair(0, 0));
  EXPECT_EQ(flops_of("reshape", [&] { return reshape(x, {3, 2}); }), Pair(0, 0));
}

TEST(Profile, CountsFlopsInF64ApartForTheLimit) {
  const Tensor x = leaf({2, 3}, DType::f64), y = leaf({4});
  const ProfileReport report = profile([&] { exp(x), exp(y); });
  EXPECT_EQ(row(report.ops, "exp").flops, 10);
  EXPECT_EQ(row(report.ops, "exp").flops_f64, 6);
}

TEST(Profile, CountsBytes) {
  const Tensor x = full({2, 3}, 1), weight = leaf({4, 3}), bias = leaf({4});
  EXPECT_EQ(bytes_of("linear", [&] { return linear(x, weight, bias); }),
            Pair(4 * (6 + 12 + 4 + 8), 4 * (8 + 6 + 12 + 4 + 12 + 4)));
  const Tensor wide = leaf({2, 3}, DType::f64);
  EXPECT_EQ(bytes_of("exp", [&] { return exp(wide); }), Pair(8 * 12, 8 * 18));
  // A view moves nothing; its gradient is added.
  EXPECT_EQ(bytes_of("reshape", [&] { return reshape(wide, {3, 2}); }), Pair(0, 8 * 12));
  // Of a table the rows that were asked for.
  const Tensor table = leaf({100, 4});
  EXPECT_EQ(bytes_of("embedding", [&] { return embedding(table, {{1, 2, 1}}); }), Pair(4 * 24, 4 * 24));
}

TEST(Profile, RowsAddUpToTheWhole) {
  const Tensor x = leaf({4, 8}), weight = leaf({8, 8});
  const ProfileReport report = profile(
      [&] {
        for (int i = 0; i < 5; ++i) {
          mse_loss(relu(linear(x, weight)), zeros({4, 8})).backward();
          argmax(x);
        }
      },
      {.names = {{"fc.weight", weight}}});
  EXPECT_GT(report.total, 0);
  EXPECT_EQ(sum_of_times(report.ops), report.total);
  EXPECT_EQ(sum_of_times(report.modules), report.total);
  EXPECT_EQ(report.ops.back().name, "outside ops");
  EXPECT_EQ(report.modules.back().name, "outside ops");
  Index end = 0;
  for (const ProfileEvent& event : report.events) {
    EXPECT_GE(event.begin, end);
    end = event.begin + event.time;
  }
  EXPECT_LE(end, report.total);
}

TEST(Profile, TimeBetweenOpsIsOutside) {
  const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(10)); };
  const Tensor x = leaf({3});
  const ProfileReport report = profile([&] {
    pause();
    const Tensor y = sum(mse_loss(exp(x), exp(x)));
    pause();
    argmax(x);  // returns plain numbers, so it is no op
    pause();
    exp(x);
    pause();
    y.backward();
    pause();
  });
  EXPECT_GE(report.ops.back().time(), 50'000'000);
  EXPECT_EQ(sum_of_times(report.ops), report.total);
}

TEST(Profile, AComposedOpIsOneRowOrOnePerStep) {
  const Tensor x = leaf({3}), y = zeros({3});
  const auto f = [&] { (mse_loss(x, y) + mse_loss(x, y) + mean(mse_loss(x, y))).backward(); };
  const ProfileReport report = profile(f);
  EXPECT_EQ(row(report.ops, "mse_loss").calls, 3);
  EXPECT_EQ(row(report.ops, "mean").calls, 1);
  EXPECT_EQ(row(report.ops, "add").calls, 2);
  EXPECT_GT(row(report.ops, "mse_loss").backward, 0);
  const ProfileReport steps = profile(f, {.steps = true});
  EXPECT_EQ(row(steps.ops, "mse_loss: sub").calls, 3);
  EXPECT_GT(row(steps.ops, "mse_loss: sub").backward, 0);
  EXPECT_EQ(row(steps.ops, "mse_loss: sub").flops, row(steps.ops, "mse_loss: sub").calls * (3 + 3));
  EXPECT_EQ(steps.events.size(), report.events.size());
}

TEST(Profile, TheLastStepOfAComposedOpIsStillAProductInItsBackward) {
  const Tensor a = leaf({5}), b = leaf({5});
  EXPECT_EQ(flops_of("matmul", [&] { return dot(a, b); }), Pair(10, 20));
}

TEST(Profile, OpsOfAFunctionOutsideTheLibraryAreCountedToo) {
  const auto twice = [](const Tensor& x) {
    Tensor y = full(x.shape(), 2 * x.item());
    return record("twice", y, {x}, [](const Node& out, gradus::Inputs in) {
      in[0].grad_or_null<float>()[0] += 2 * out.grad_or_null<float>()[0];
    });
  };
  const Tensor x = leaf({1});
  const ProfileReport report = profile([&] { twice(twice(x)).backward(); });
  EXPECT_EQ(row(report.ops, "twice").calls, 2);
  EXPECT_EQ(report.events.size(), 4U);
}

TEST(Profile, AnOpIsOfItsParametersModuleElseOfItsNewestInputs) {
  const Tensor x = full({2, 3}, 1), first = leaf({3, 3}), second = leaf({3, 3}), scale = leaf({3});
  const ProfileOptions options{
      .names = {{"h.0.fc.weight", first}, {"h.1.fc.weight", second}, {"scale", scale}, {"unused.weight", leaf({1})}}};
  const auto f = [&] {
    const Tensor early = exp(x);
    const Tensor one = relu(linear(early, first)), two = linear(one, second);
    return sum((one + two) * scale);
  };
  const ProfileReport report = profile([&] { f().backward(); }, options);
  EXPECT_EQ(names(report.modules),
            (std::vector<std::string>{"h.0.fc", "h.1.fc", "scale", "(no module)", "outside ops"}));
  EXPECT_EQ(row(report.modules, "h.0.fc").calls, 2);       // linear, relu
  EXPECT_EQ(row(report.modules, "h.1.fc").calls, 2);       // linear, add
  EXPECT_EQ(row(report.modules, "scale").calls, 2);        // mul, sum
  EXPECT_EQ(row(report.modules, "(no module)").calls, 1);  // exp
  EXPECT_GT(row(report.modules, "h.0.fc").backward, 0);
  const auto modules_of = [](const ProfileReport& of, bool backward) {
    std::vector<std::string> all;
    for (const ProfileEvent& event : of.events) {
      if (event.backward == backward) all.push_back(fmt::format("{} {}", event.op, of.modules[event.module].name));
    }
    return all;
  };
  std::vector<std::string> forward = modules_of(report, false);
  std::ranges::reverse(forward);
  forward.pop_back();  // exp has no backward
  EXPECT_EQ(modules_of(report, true), forward);
  // Where nothing is recorded, modules are the same.
  const auto unrecorded = [&] {
    const NoGrad no_grad;
    f();
  };
  EXPECT_EQ(modules_of(profile(unrecorded, options), false), modules_of(report, false));
  // And where the forward ran before.
  const Tensor before = f();
  const std::vector<std::string> late = modules_of(profile([&] { before.backward(); }, options), true);
  EXPECT_EQ(std::ranges::count(late, "linear h.0.fc"), 1);
  EXPECT_EQ(std::ranges::count(late, "relu h.0.fc"), 1);
  EXPECT_EQ(std::ranges::count(late, "sum scale"), 1);
}

TEST(Profile, WatchersMayBeNested) {
  const Tensor x = leaf({3});
  ProfileReport inner;
  const AnomalyMode anomaly;
  const ProfileReport outer = profile([&] {
    exp(x);
    inner = profile([&] { sum(exp(x)).backward(); });
    exp(x);
  });
  EXPECT_EQ(row(inner.ops, "exp").calls, 1);
  EXPECT_EQ(row(outer.ops, "exp").calls, 3);
  EXPECT_EQ(inner.events.size(), 4U);
  EXPECT_EQ(outer.events.size(), 6U);
  EXPECT_LE(inner.total, outer.total);
  EXPECT_EQ(detail::watcher(), &anomaly);
}

TEST(Profile, WhatTheFunctionThrowsArrivesAndNoWatcherStays) {
  EXPECT_EQ(error_of([] { profile([] { fail("from f"); }); }), "from f");
  EXPECT_EQ(detail::watcher(), nullptr);
  EXPECT_EQ(error_of([] { profile({}); }), "profile: f is empty; give it the function to measure");
  EXPECT_EQ(detail::watcher(), nullptr);
}

TEST(Profile, SeesTheOpsOfItsOwnThread) {
  const Tensor x = leaf({3});
  const ProfileReport report = profile([&] {
    exp(x);
    std::thread([&] { sum(log(x)).backward(); }).join();
  });
  EXPECT_EQ(names(report.ops), (std::vector<std::string>{"exp", "outside ops"}));
}

TEST(Profile, ChangesNoBits) {
  const Tensor x = leaf({3, 3}), y = leaf({3, 3});
  sum(softmax(matmul(x, x)) * x).backward();
  profile([&] { sum(softmax(matmul(y, y)) * y).backward(); });
  EXPECT_EQ(bits(y.grad()), bits(x.grad()));
}

TEST(Profile, OpsOfHigherDerivativesAreOpsToo) {
  const Tensor x = leaf({3});
  const ProfileReport report = profile([&] { sum(exp(x)).backward({.create_graph = true}); });
  EXPECT_GT(row(report.ops, "mul").calls, 0);
  EXPECT_GT(row(report.ops, "exp").backward, 0);
  EXPECT_EQ(sum_of_times(report.ops), report.total);
  x.zero_grad();
}

TEST(Profile, PrintsTables) {
  std::vector<std::pair<std::string, Tensor>> parameters;
  for (int i = 0; i < 30; ++i) parameters.emplace_back(fmt::format("h.{}.fc.weight", i), leaf({3, 3}));
  const Tensor x = full({2, 3}, 1);
  const auto report = profile(
      [&] {
        Tensor y = x;
        for (const auto& [name, weight] : parameters) y = linear(y, weight);
      },
      {.names = parameters});
  EXPECT_EQ(report.modules.size(), 31U);
  const std::string text = to_string(report);
  expect_contains(text, "op             calls  forward ms backward ms   share  GFLOP/s     bytes  of limit\n");
  expect_contains(text, "\nlinear            30 ");
  expect_contains(text, "\noutside ops          ");
  expect_contains(text, "\nh.*.fc            30 ");
  EXPECT_EQ(text.find("h.0.fc"), std::string::npos);
  expect_contains(text, "\nof limit: F of ");
  std::ostringstream out;
  out << report;
  EXPECT_EQ(out.str(), text);
  EXPECT_EQ(fmt::format("{}", report), text);
}

TEST(Profile, MeasuresTheMachineOnce) {
  const MachineLimits limits = machine_limits(), again = machine_limits();
  EXPECT_GT(limits.flops, 1e6);
  EXPECT_GT(limits.bytes, 1e6);
  EXPECT_EQ(limits.threads, num_threads());
  EXPECT_EQ(again.flops, limits.flops);
  EXPECT_EQ(again.bytes, limits.bytes);
}

TEST(Profile, WritesATrace) {
  const Tensor x = full({2, 3}, 1), weight = leaf({3, 3});
  const std::string odd = "a \"b\"\\\n";
  const ProfileReport report =
      profile([&] { mse_loss(linear(x, weight), x).backward(); }, {.names = {{odd + ".weight", weight}}});
  const TempFolder folder;
  const std::string path = folder / "trace.json";
  report.write_chrome_trace(path);
  const auto trace = nlohmann::json::parse(read(path))["traceEvents"];
  ASSERT_EQ(trace.size(), report.events.size() + 1);
  EXPECT_EQ(trace[0]["name"], "profile");
  EXPECT_EQ(trace[1]["name"], "linear");
  EXPECT_EQ(trace[1]["cat"], "forward");
  EXPECT_EQ(trace[1]["ph"], "X");
  const auto& arguments = trace[1]["args"];
  EXPECT_EQ(arguments["module"], odd);
  EXPECT_EQ(arguments["inputs"], "(2, 3) (3, 3)");
  EXPECT_EQ(arguments["result"], "(2, 3)");
  EXPECT_EQ(arguments["dtype"], "f32");
  EXPECT_EQ(arguments["flops"], 36);
  EXPECT_EQ(arguments["bytes"], 4 * 21);
  EXPECT_EQ(trace[2]["name"], "mse_loss: sub");
  EXPECT_EQ(trace.back()["name"], "linear backward");
  EXPECT_EQ(trace.back()["cat"], "backward");
  EXPECT_NEAR(trace.back()["ts"].get<double>() * 1000, static_cast<double>(report.events.back().begin), 1);
}

TEST(Profile, SaysWhyATraceCannotBeWritten) {
  const ProfileReport report = profile([] {});
  expect_contains(error_of([&] { report.write_chrome_trace("no/such/folder/trace.json"); }),
                  "profile: the trace cannot be written to 'no/such/folder/trace.json': No such file or directory; ");
}

}  // namespace
}  // namespace gradus::testing
