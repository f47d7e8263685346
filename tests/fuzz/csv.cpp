// A table of any bytes: it is read or it is an Error; every column has a value for each row, codes are those of
// categories, and the table written with quotes around everything is read as the same one.
#include <gradus/nn/files/csv.h>

#include <cmath>

#include <gradus/nn/files/file_kind.h>

#include "fuzz.h"

using namespace gradus;
using namespace gradus::fuzz;

namespace {

std::string in_quotes(std::string_view text) {
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + '"';
}

std::string field_of(const nn::Column& column, std::size_t row) {
  const double value = column.values[row];
  if (std::isnan(value)) return "";
  return column.is_text() ? column.categories[static_cast<std::size_t>(value)] : fmt::format("{}", value);
}

// The first byte chooses the options, so that the rest can be any text.
nn::CsvOptions options_of(std::uint8_t byte) {
  constexpr std::string_view separators = ",;\t|";
  return {.header = (byte & 1) == 0, .separator = separators[byte >> 1 & 3]};
}

void check_columns(const nn::Table& table) {
  for (const nn::Column& column : table.columns) {
    expect(static_cast<Index>(column.values.size()) == table.rows(), "every column has all rows");
    for (const double value : column.values) {
      expect(!column.is_text() || std::isnan(value) || value < static_cast<double>(column.categories.size()),
             "a code is one of a category");
    }
    result_of([&] { return table.ids(column.name); });
  }
  expect(table.tensor(table.names()).shape() == Shape{table.rows(), static_cast<Index>(table.columns.size())},
         "the tensor has all rows and columns");
}

void check_round_trip(const nn::Table& table) {
  std::string text;
  nn::CsvOptions options;
  for (const nn::Column& column : table.columns) {
    text += (text.empty() ? "" : ",") + in_quotes(column.name);
    if (column.is_text()) options.categories.push_back(column.name);
  }
  for (std::size_t row = 0; row < static_cast<std::size_t>(table.rows()); ++row) {
    text += '\n';
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      text += (c == 0 ? "" : ",") + in_quotes(field_of(table.columns[c], row));
    }
  }
  if (!file_kind(text).empty()) return;  // with its quotes it begins as another kind of file does
  const std::string path = folder() / "copy";
  write_file(path, text);
  const nn::Table again = nn::read_csv(path, options);
  expect(again.names() == table.names() && again.rows() == table.rows(), "names and rows come back");
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const nn::Column &a = table.columns[c], &b = again.columns[c];
    expect(a.categories == b.categories, "categories come back");
    for (std::size_t i = 0; i < a.values.size(); ++i) {
      expect(a.values[i] == b.values[i] || (std::isnan(a.values[i]) && std::isnan(b.values[i])), "values come back");
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = folder() / "input";
  if (size == 0) return 0;
  write_file(path, text_of(data + 1, size - 1));
  const auto table = result_of([&] { return nn::read_csv(path, options_of(data[0])); });
  if (!table) return 0;
  check_columns(*table);
  check_round_trip(*table);
  return 0;
}
