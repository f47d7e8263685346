#include "page.h"

#include <string_view>

namespace gpt {
namespace {

// "</script>" in a text must not end the script that holds it.
std::string escaped(std::string_view json) {
  std::string safe;
  for (const char c : json) c == '<' ? safe += "\\u003c" : safe += c;
  return safe;
}

}  // namespace

std::string page(const std::string& run_json, const std::string& run2_json) {
  std::string html = "<!doctype html>\n<meta charset=\"utf-8\">\n<script type=\"application/json\" id=\"run\">" +
                     escaped(run_json) + "</script>\n";
  if (!run2_json.empty()) {
    html += "<script type=\"application/json\" id=\"run2\">" + escaped(run2_json) + "</script>\n";
  }
  return html;
}

}  // namespace gpt
