#include "report.h"

#include <fmt/format.h>

#include <cmath>

#include <gradus/models/detail/json.h>

namespace gpt::lab {
namespace {

using gradus::models::detail::Json;

Json json_of(const Sentence& sentence) {
  return {{"en", sentence.en}, {"ko", sentence.ko}};
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(std::isfinite(value) ? Json(value) : Json());
  return list;
}

Json json_of(const Table& table);
Json json_of(const Series& series);
Json json_of(const Chart& chart);

template <class T>
Json all_of(const std::vector<T>& items) {
  Json list = Json::array();
  for (const T& item : items) list.push_back(json_of(item));
  return list;
}

Json json_of(const Table& table) {
  return {{"caption", json_of(table.caption)}, {"columns", all_of(table.columns)}, {"rows", table.rows}};
}

Json json_of(const Series& series) {
  Json json{{"name", series.name}, {"x", numbers(series.x)}, {"y", numbers(series.y)}};
  if (!series.low.empty()) json["low"] = numbers(series.low), json["high"] = numbers(series.high);
  return json;
}

Json json_of(const Chart& chart) {
  return {{"title", json_of(chart.title)}, {"x", json_of(chart.x)}, {"y", json_of(chart.y)},
          {"log_x", chart.log_x},          {"log_y", chart.log_y},  {"series", all_of(chart.series)}};
}

// A bar would end the cell.
std::string in_cell(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) text.insert(at, "\\");
  return text;
}

std::string markdown_of(const Table& table) {
  std::string text = fmt::format("\n{}\n\n|", table.caption.en), line = "|";
  for (const Sentence& column : table.columns) text += " " + in_cell(column.en) + " |", line += "---|";
  text += "\n" + line + "\n";
  for (const auto& row : table.rows) {
    text += "|";
    for (const std::string& cell : row) text += " " + in_cell(cell) + " |";
    text += "\n";
  }
  return text;
}

}  // namespace

std::string markdown_of(const Study& study, const Report& report) {
  std::string text = fmt::format("# {}\n\n{}\n\n", study.question.en, study.how.en);
  for (const Sentence& sentence : report.sentences) text += "- " + sentence.en + "\n";
  for (const Table& table : report.tables) text += markdown_of(table);
  return text;
}

std::string json_of(const Study& study, const Report& report) {
  std::vector<Sentence> sentences = report.sentences;
  sentences.push_back(study.how);
  return gradus::models::detail::dump(Json{{"question", study.name},
                                           {"title", json_of(study.question)},
                                           {"sentences", all_of(sentences)},
                                           {"tables", all_of(report.tables)},
                                           {"charts", all_of(report.charts)}});
}

}  // namespace gpt::lab
