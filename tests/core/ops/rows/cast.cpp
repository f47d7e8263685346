#include "../op_table.h"

namespace gradus::testing {
namespace {

void add_cast(std::vector<OpRow>& rows) {
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
                  .sized = GRADUS_SIZED({2, n}),
                  .large = {{120'001}},
                  .torch = "there_and_back(x[0])",
                  .limits = {0, 0},
                  .f64_tolerance = 1e-6,  // the gradient passes through f32
                  .gradcheck_step = 1.0 / 1024});
  rows.push_back({.op = "clone",
                  .variant = "",
                  .shapes = {{3, 7}},
                  .f = [](In x) { return x[0].clone(); },
                  .reference = [](Arrays x) { return x[0]; },
                  .sized = GRADUS_SIZED({2, n}),
                  .large = {{3, 50'001}},
                  .torch = "x[0].clone()",
                  .limits = {0, 0, 0}});
}

const AddRows cast_rows("cast", add_cast);

}  // namespace
}  // namespace gradus::testing
