#include "weights.h"

#include <utility>

#include "commands.h"

namespace gpt {

namespace models = gradus::models;
using gradus::NarrowType;

void add_weights(CLI::App& command, std::string& weights) {
  command
      .add_option("--weights", weights,
                  "Compute with the weights in f32 (default), or in bf16, int8 or int4: fewer bytes to read for every "
                  "token, and a little less exact")
      ->type_name("f32|bf16|int8|int4")
      ->check(one_of({"f32", "bf16", "int8", "int4"}));
}

models::GPT with_weights(models::GPT model, const std::string& weights) {
  for (const NarrowType type : {NarrowType::bf16, NarrowType::int8, NarrowType::int4}) {
    if (weights != name_of(type)) continue;
    model.to(gradus::DType::f32);
    model.narrow(type);
  }
  return model;
}

}  // namespace gpt
