// The report of a study as Markdown, and as the JSON of its page.
#pragma once

#include <string>

#include "study.h"

namespace gpt::lab {

std::string markdown_of(const Study& study, const Report& report);
/// What lab_page() takes: see ../page.h.
std::string json_of(const Study& study, const Report& report);

}  // namespace gpt::lab
