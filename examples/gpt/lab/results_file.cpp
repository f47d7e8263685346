// The file is small and written whole, in one move: a full disk or a kill leaves the last good one.
#include "results_file.h"

#include <algorithm>
#include <sstream>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/text.h>

namespace gpt::lab {
namespace {

using gradus::models::detail::Json;

Json json_of(const Header& header) {
  return {{"question", header.question},
          {"data", header.data},
          {"seeds", header.asked_seeds},
          {"arms", header.arms},
          {"plan", {{"steps", header.plan.steps}, {"seeds", header.plan.seeds}, {"tokens", header.plan.eval_tokens}}}};
}

}  // namespace

std::optional<Plan> ResultsFile::read(const Header& wanted) {
  std::error_code error;
  if (!std::filesystem::exists(path_, error)) return {};
  std::istringstream lines(gradus::models::read_file(path_));
  std::string line;
  std::getline(lines, line);
  auto first = gradus::models::detail::try_parse_json(line);
  const std::string folder = path_.parent_path().native();
  Plan plan;
  try {
    gradus::check(first && first->is_object(), "'{}' is damaged: its first line is no JSON; remove it to begin anew",
                  path_.native());
    const Json asked = json_of(wanted);
    for (const char* const name : {"question", "data", "seeds"}) {
      gradus::check(first->at(name) == asked.at(name),
                    "'{}' has results of other settings: its {} is {}, not {}; choose another folder with --out, or "
                    "remove that one",
                    path_.native(), name, gradus::models::detail::dump(first->at(name)),
                    gradus::models::detail::dump(asked.at(name)));
    }
    // A file of an earlier version has no fingerprints; the names of its arms must do.
    if (first->contains("arms")) {
      const auto known = first->at("arms").get<std::map<std::string, std::string>>();
      for (const auto& [arm, print] : wanted.arms) {
        gradus::check(
            !known.contains(arm) || known.at(arm) == print,
            "'{}' has results of another version of this program, which trained its setting \"{}\" otherwise; "
            "choose another folder with --out, or remove that one",
            path_.native(), arm);
        (*first)["arms"][arm] = print;
      }
    }
    first->at("plan").at("steps").get_to(plan.steps);
    first->at("plan").at("seeds").get_to(plan.seeds);
    first->at("plan").at("tokens").get_to(plan.eval_tokens);
  } catch (const Json::exception&) {
    gradus::fail("'{}' is damaged: its first line is not that of a lab; remove it to begin anew", path_.native());
  }
  gradus::check(plan.steps > 0 && plan.seeds > 0 && plan.eval_tokens > 0,
                "'{}' is damaged: its plan has no steps, seeds or tokens; remove it to begin anew", path_.native());
  text_ = gradus::models::detail::dump(*first) + "\n";
  for (Index number = 2; std::getline(lines, line); ++number) {
    const auto result = Result::from_json(line);
    gradus::check(result.has_value(), "'{}' is damaged: line {} is no result; remove that line, or the file",
                  path_.native(), number);
    if (wanted.arms.contains(result->arm)) results_.push_back(*result);
    text_ += line + "\n";
  }
  return plan;
}

void ResultsFile::begin(const Header& header) {
  text_ = gradus::models::detail::dump(json_of(header)) + "\n";
  gradus::models::write_text(path_, text_);
}

void ResultsFile::add(const Result& result) {
  text_ += result.to_json() + "\n";
  gradus::models::write_text(path_, text_);
  results_.push_back(result);
}

bool ResultsFile::has(const std::string& arm, Index seed) const {
  return std::ranges::any_of(results_, [&](const Result& one) { return one.arm == arm && one.seed == seed; });
}

}  // namespace gpt::lab
