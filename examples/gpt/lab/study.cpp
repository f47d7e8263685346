#include "study.h"

#include <fmt/format.h>

#include <array>

#include <gradus/models/text/identity.h>

namespace gpt::lab {

std::span<const Study> studies() {
  static const std::array all{heads_study(),    warmup_study(), decay_study(), gelu_study(),   init_study(),
                              residual_study(), norm_study(),   rate_study(),  scaling_study()};
  return all;
}

gradus::models::GPTConfig small_model(Index vocab_size) {
  return {.vocab_size = vocab_size, .block_size = 64, .n_layer = 2, .n_head = 4, .n_embd = 64, .bias = false};
}

Table table_of_losses(const Results& results, const std::vector<Arm>& arms) {
  Table table{{"Held-out loss, nats per character: mean and 95 % interval over the seeds",
               "검증 손실(글자당 nat): 시드들의 평균과 95 % 구간"},
              {{"setting", "설정"},
               {"held-out loss", "검증 손실"},
               {"training loss", "학습 손실"},
               {"parameters", "파라미터"},
               {"steps a second", "초당 스텝"},
               {"seeds", "시드"},
               {"diverged", "발산"}},
              {}};
  for (const Arm& arm : arms) {
    if (arm.range_test) continue;
    const Mean loss = results.mean(arm.name);
    table.rows.push_back({arm.name, told(loss), told(results.mean(arm.name, "train")),
                          fmt::format("{}", arm.model.num_parameters()),
                          told(results.mean(arm.name, "steps_per_second"), 0), fmt::format("{}", loss.count),
                          fmt::format("{}", results.diverged(arm.name))});
  }
  return table;
}

std::string fingerprint_of(const Arm& arm) {
  return gradus::models::fingerprint(
      fmt::format("{} lr {} warmup {} schedule {} decay {} clip {} share {} start {} characters {} range {}",
                  arm.model.to_json(), arm.lr, arm.warmup, static_cast<int>(arm.schedule), arm.weight_decay, arm.clip,
                  arm.share, static_cast<int>(arm.start), arm.characters, arm.range_test));
}

void Series::add(double at, const Mean& mean) {
  if (mean.count == 0) return;
  x.push_back(at), y.push_back(mean.value);
  const bool sure = mean.count > 1;
  low.push_back(sure ? mean.low() : mean.value), high.push_back(sure ? mean.high() : mean.value);
}

}  // namespace gpt::lab
