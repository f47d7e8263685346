// Two passes: the first reads numbers and finds the columns of text, the second collects the categories of those.
#include <gradus/nn/files/csv.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include <gradus/nn/files/detail/input_file.h>
#include <gradus/nn/files/file_kind.h>

namespace gradus::nn {
namespace {

using detail::InputFile;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' '; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

enum class Parsed { number, text, too_large };

Parsed parse_number(std::string_view text, double& number) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (stop != end || error == std::errc::invalid_argument) return Parsed::text;
  return error == std::errc() ? Parsed::number : Parsed::too_large;
}

class CsvReader {
 public:
  CsvReader(const std::string& path, const CsvOptions& options)
      : options_(options), missing_(options.missing.begin(), options.missing.end()), file_("read_csv", path) {
    const char separator = options.separator;
    file_.require(separator != '"' && separator != '\n' && separator != '\r' && separator != ' ',
                  "the separator cannot be a quote, a space or a line's end; choose another");
    const std::string kind = file_.kind();
    file_.require(kind.empty(), "{}", kind);
    text_ = file_.text(file_.size());
    if (text_.starts_with("\xef\xbb\xbf")) text_.erase(0, 3);  // a byte order mark
    const std::size_t zero = text_.find('\0');
    file_.require(
        zero == std::string::npos, "line {} has a zero byte; it is no text, or a damaged one",
        1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(std::min(zero, text_.size())), '\n'));
  }

  Table read() {
    read_names();
    for (const auto* const names : {&options_.numbers, &options_.categories}) {
      for (const std::string& name : *names) {
        file_.require(has(table_.names(), name), "there is no column '{}'; it has {}", name,
                      fmt::to_string(fmt::join(table_.names(), ", ")));
      }
    }
    const std::size_t first_row = place_, first_line = line_;
    std::vector<bool> is_text;
    for (const Column& column : table_.columns) is_text.push_back(has(options_.categories, column.name));
    each_field([&](std::size_t c, std::string_view field) {
      table_.columns[c].values.push_back(nan);
      if (!is_text[c]) is_text[c] = !read_number(table_.columns[c], field);
    });
    place_ = first_row, line_ = first_line;
    if (std::ranges::find(is_text, true) != is_text.end()) read_categories(is_text);
    return std::move(table_);
  }

 private:
  static bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  }

  [[noreturn]] void refuse(std::size_t line, std::size_t column, const std::string& text) const {
    const bool named = column < table_.columns.size();
    file_.refuse(fmt::format("line {}, column {}: {}", line,
                             named ? fmt::format("'{}'", table_.columns[column].name) : fmt::format("{}", column),
                             text));
  }

  // The names, or as many numbers as the first row has fields.
  void read_names() {
    skip_empty_lines();
    file_.require(place_ < text_.size(), "it has no line; {} is needed",
                  options_.header ? "one with the columns' names" : "a row");
    const std::size_t start = place_, line = line_;
    bool ends = false;
    std::set<std::string> names;
    for (std::size_t c = 0; !ends; ++c) {
      std::string name(next_field(c, ends));
      if (!options_.header || name.empty()) name = fmt::format("{}", c);
      if (!names.insert(name).second) {
        refuse(line, c, fmt::format("the name '{}' is there twice; rename one, or read without a header", name));
      }
      headers_.push_back(std::move(name));
    }
    if (!options_.header) place_ = start, line_ = line;
    for (std::string& name : headers_) table_.columns.push_back({std::move(name), {}, {}});
  }

  void skip_empty_lines() {
    while (place_ < text_.size()) {
      std::size_t end = place_;
      while (end < text_.size() && text_[end] == ' ') ++end;
      if (end < text_.size() && text_[end] != '\n' && text_[end] != '\r') return;
      place_ = end;
      if (place_ < text_.size()) end_line();
    }
  }

  void end_line() {
    if (text_[place_] == '\r' && place_ + 1 < text_.size() && text_[place_ + 1] == '\n') ++place_;
    ++place_;
    ++line_;
  }

  // f(column, field) for every field of the rows from here on.
  template <class F>
  void each_field(const F& f) {
    for (skip_empty_lines(); place_ < text_.size(); skip_empty_lines()) {
      row_line_ = line_;
      std::size_t count = 0;
      for (bool ends = false; !ends; ++count) {
        const std::string_view field = next_field(count, ends);
        if (count < table_.columns.size()) f(count, field);
      }
      if (count != table_.columns.size()) {
        refuse(row_line_, std::min(count, table_.columns.size()),
               fmt::format("the row has {} fields, but the first line {}; is a separator missing, or is a field with a "
                           "separator not in quotes?",
                           count, table_.columns.size()));
      }
    }
  }

  // Returns the field at place_, valid until the next call, and moves place_ behind its separator or line end. `ends`:
  // whether that was a line's end.
  std::string_view next_field(std::size_t column, bool& ends) {
    while (place_ < text_.size() && text_[place_] == ' ') ++place_;
    std::string_view field;
    if (place_ < text_.size() && text_[place_] == '"') {
      field = quoted(column);
    } else {
      const std::size_t start = place_;
      while (place_ < text_.size() && text_[place_] != options_.separator && !at_line_end() && text_[place_] != '"')
        ++place_;
      field = trimmed(std::string_view(text_).substr(start, place_ - start));
    }
    while (place_ < text_.size() && text_[place_] == ' ') ++place_;
    ends = place_ >= text_.size() || at_line_end();
    if (!ends && text_[place_] != options_.separator) {
      refuse(line_, column, "a quote stands within a field; put the field in quotes and write a quote in it twice");
    }
    if (place_ >= text_.size()) return field;
    if (ends) {
      end_line();
    } else {
      ++place_;
    }
    return field;
  }

  bool at_line_end() const { return text_[place_] == '\n' || text_[place_] == '\r'; }

  std::string_view quoted(std::size_t column) {
    const std::size_t line = line_;
    unquoted_.clear();
    for (++place_;; ++place_) {
      if (place_ >= text_.size()) refuse(line, column, "the quote that begins here does not end; close it");
      if (text_[place_] == '"') {
        ++place_;
        if (place_ >= text_.size() || text_[place_] != '"') return unquoted_;
      }
      if (text_[place_] == '\n' || (text_[place_] == '\r' && text_.compare(place_, 2, "\r\n") != 0)) ++line_;
      unquoted_ += text_[place_];
    }
  }

  // False for a text. `column`'s last value becomes the number.
  bool read_number(Column& column, std::string_view field) const {
    if (missing_.contains(field)) return true;
    const auto place = static_cast<std::size_t>(&column - table_.columns.data());
    const Parsed parsed = parse_number(field, column.values.back());
    if (parsed == Parsed::too_large) {
      refuse(row_line_, place, fmt::format("f64 does not hold {}; write it in another unit", field.substr(0, 40)));
    }
    if (parsed == Parsed::text && has(options_.numbers, column.name)) {
      refuse(row_line_, place, fmt::format("'{}' is no number; mend it, or add it to `missing`", field.substr(0, 40)));
    }
    return parsed == Parsed::number;
  }

  void read_categories(const std::vector<bool>& is_text) {
    std::vector<std::map<std::string, std::vector<std::size_t>, std::less<>>> rows_of(table_.columns.size());
    std::size_t field_count = 0;
    each_field([&](std::size_t c, std::string_view field) {
      const std::size_t row = field_count++ / table_.columns.size();
      if (!is_text[c] || missing_.contains(field)) return;
      auto found = rows_of[c].find(field);
      if (found == rows_of[c].end()) found = rows_of[c].emplace(field, std::vector<std::size_t>()).first;
      found->second.push_back(row);
    });
    for (std::size_t c = 0; c < rows_of.size(); ++c) {
      if (!is_text[c]) continue;
      Column& column = table_.columns[c];
      for (const auto& [category, rows] : rows_of[c]) {
        for (const std::size_t row : rows) column.values[row] = static_cast<double>(column.categories.size());
        column.categories.push_back(category);
      }
    }
  }

  const CsvOptions& options_;
  std::set<std::string, std::less<>> missing_;
  InputFile file_;
  std::string text_, unquoted_;
  std::size_t place_ = 0, line_ = 1, row_line_ = 1;
  std::vector<std::string> headers_;
  Table table_;
};

}  // namespace

std::vector<std::string> Table::names() const {
  std::vector<std::string> all;
  for (const Column& column : columns) all.push_back(column.name);
  return all;
}

const Column& Table::operator[](std::string_view name) const {
  const auto found = std::ranges::find(columns, name, &Column::name);
  check(found != columns.end(), "Table: there is no column '{}'; it has {}", name,
        fmt::to_string(fmt::join(names(), ", ")));
  return *found;
}

Tensor Table::tensor(const std::vector<std::string>& names, DType dtype) const {
  const auto width = static_cast<Index>(names.size());
  Tensor x = Tensor::empty({rows(), width}, dtype);
  dispatch(dtype, [&]<class T>() {
    const std::span<T> to = x.data<T>();
    for (std::size_t c = 0; c < names.size(); ++c) {
      std::size_t at = c;
      for (const double value : (*this)[names[c]].values) {
        to[at] = static_cast<T>(value);
        at += names.size();
      }
    }
  });
  return x;
}

Tensor Table::tensor(DType dtype) const {
  for (const Column& column : columns) {
    check(!column.is_text(), "Table: column '{}' has categories, such as '{}'; name the columns that are wanted",
          column.name, column.categories.empty() ? "" : column.categories[0]);
  }
  return tensor(names(), dtype);
}

std::vector<std::int32_t> Table::ids(std::string_view name) const {
  std::vector<std::int32_t> all;
  for (const double value : (*this)[name].values) {
    check(value >= std::numeric_limits<std::int32_t>::min() && value <= std::numeric_limits<std::int32_t>::max() &&
              value == std::floor(value),
          "Table: column '{}' has {} in row {} (the first is 0); ids are whole numbers of 32 bits", name, value,
          all.size());
    all.push_back(static_cast<std::int32_t>(value));
  }
  return all;
}

Table read_csv(const std::string& path, const CsvOptions& options) {
  return CsvReader(path, options).read();
}

}  // namespace gradus::nn
