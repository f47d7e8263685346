// An op of the program's own, checked by the library's gradcheck; an error of the library, caught here; types of the
// library that both sides must take for the same.
#include <gradus/core/autograd.h>
#include <gradus/core/gradcheck.h>
#include <gradus/core/ops.h>
#include <gradus/core/parallel.h>

#include <cstdio>
#include <stdexcept>

using namespace gradus;

static Tensor twice(const Tensor& x) {
  Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() {
    for (std::size_t i = 0; i < x.data<T>().size(); ++i) y.data<T>()[i] = 2 * x.data<T>()[i];
  });
  return record("twice", y, {x}, [](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      for (Index i = 0; i < out.numel(); ++i) in[0].grad_or_null<T>()[i] += 2 * out.grad_or_null<T>()[i];
    });
  });
}

static bool throws_across_threads() {
  try {
    parallel_for(100, 1, [](Index begin, Index) { check(begin != 70, "chunk {} in shape {}", begin, Shape{2, 3}); });
  } catch (const Error& error) {
    return std::string(error.what()) == "chunk 70 in shape (2, 3)";
  }
  return false;
}

int main() {
  const GradcheckReport report = gradcheck([](auto in) { return twice(in[0]) * sin(in[0]); }, {randn({3, 4})});
  bool caught = false;
  try {
    matmul(ones({2, 3}), ones({4, 5}));
  } catch (const std::exception& error) {
    caught = dynamic_cast<const Error*>(&error) != nullptr;
  }
  const bool right = report && caught && throws_across_threads();
  std::puts(right ? "core works" : "core does not work");
  return right ? 0 : 1;
}
