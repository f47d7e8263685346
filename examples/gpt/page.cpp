// The page is one embedded text, joined at build time (cmake/embed_files.cmake); only the documents are put in here.
#include "page.h"

#include <gradus_embedded/gpt_page.h>

#include <string_view>

namespace gpt {
namespace {

// In JSON a "<" stands only inside strings, where this is the same character; no text of a run then ends the element.
std::string data_element(std::string_view id, std::string_view json) {
  std::string result = "<script type=\"application/json\" id=\"" + std::string(id) + "\">";
  result.reserve(result.size() + json.size() + 16);
  for (const char c : json) {
    if (c == '<') {
      result += "\\u003c";
    } else {
      result += c;
    }
  }
  return result + "</script>\n";
}

std::string page_with(const std::string& data) {
  constexpr std::string_view mark = "{{data}}";
  std::string result{gradus::embedded::gpt_page};
  return result.replace(result.find(mark), mark.size(), data);
}

}  // namespace

std::string page(const std::string& run_json, const std::string& run2_json) {
  std::string data = data_element("run", run_json);
  if (!run2_json.empty()) data += data_element("run2", run2_json);
  return page_with(data);
}

std::string lab_page(const std::string& json) {
  return page_with(data_element("lab", json));
}

}  // namespace gpt
