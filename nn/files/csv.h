// Tables as text: a line for each row, fields between separators; a field with a separator in it is quoted (RFC 4180).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// A column of numbers, or of categories if any field is no number.
struct Column {
  std::string name;
  std::vector<double> values;           // NaN where missing; of categories their codes 0, 1, ..
  std::vector<std::string> categories;  // what the codes stand for, in the order of their bytes; empty for numbers

  bool is_text() const { return !categories.empty(); }
};

/// A table of named columns with a value for each row.
struct Table {
  std::vector<Column> columns;

  Index rows() const { return columns.empty() ? 0 : static_cast<Index>(columns[0].values.size()); }
  std::vector<std::string> names() const;
  /// Throws Error for a name that is not there.
  const Column& operator[](std::string_view name) const;

  /// The columns of these names, in this order: (rows, names). A column of categories gives its codes.
  Tensor tensor(const std::vector<std::string>& names, DType dtype = DType::f32) const;
  /// All columns. Throws Error if one has categories: name those that are wanted.
  Tensor tensor(DType dtype = DType::f32) const;
  /// A column's codes or whole numbers, as cross_entropy and embedding take them: (rows). Throws Error where a value is
  /// missing or no whole number of 32 bits.
  std::vector<std::int32_t> ids(std::string_view name) const;
};

struct CsvOptions {
  bool header = true;  // the first line has the columns' names; without it they are "0", "1", ..
  char separator = ',';
  std::vector<std::string> missing = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"};
  std::vector<std::string> numbers = {};     // columns in which a field that is no number is an Error, not a category
  std::vector<std::string> categories = {};  // columns that have categories even if all fields are numbers: zip codes
};

/// A table from a file in UTF-8. Lines end with a line feed, a carriage return or both; empty ones are passed over.
/// Spaces around a field count only within quotes; a quote in quotes is written twice. Numbers are as C++ writes them
/// (-1.5, 2e-3, inf). Throws Error, naming file, line and column, for rows of another length than the first, a name
/// that is there twice, quotes that do not fit, a number beyond f64's, and a text in one of `numbers`.
Table read_csv(const std::string& path, const CsvOptions& options = {});

#pragma GCC visibility pop
}  // namespace gradus::nn
