// loss.svg: a run's losses as a picture.
#pragma once

#include <string>

#include "loss_history.h"

namespace gpt {

std::string loss_svg(const LossHistory& history, const std::string& title);

}  // namespace gpt
