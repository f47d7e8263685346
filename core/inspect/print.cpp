// Tensors as text, laid out as NumPy does it: nested brackets, columns that line up at the point, the middle of long
// dimensions left out.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string_view>

#include <gradus/core/tensor.h>

namespace gradus {
namespace {

constexpr Index all_shown = 1000;  // up to this many elements nothing is left out, as in NumPy
constexpr Index edge = 3;          // of a longer dimension, so many at each end are shown
constexpr std::size_t line_width = 88;

// How the numbers of one tensor are written: the same digits after the point, padded to one width.
class Columns {
 public:
  Columns(const std::vector<double>& shown, std::string_view spec) : spec_(spec) {
    if (!spec.empty()) {
      for (const double value : shown) width_ = std::max(width_, plain(value).size());
      return;
    }
    double largest = 0, smallest = INFINITY;
    for (const double value : shown) {
      if (!std::isfinite(value) || value == 0) continue;
      largest = std::max(largest, std::abs(value));
      smallest = std::min(smallest, std::abs(value));
    }
    scientific_ = largest >= 1e8 || (largest > 0 && (smallest < 1e-4 || largest / smallest > 1e5));
    if (std::ranges::all_of(shown, [](double value) { return value == std::floor(value); }) && largest < 1e8) {
      scientific_ = false;  // whole numbers need no exponent
    }
    for (const double value : shown) {
      const std::string text = plain(value);
      const std::size_t point = std::min(text.find('.'), text.size());
      before_ = std::max(before_, std::isfinite(value) ? point : 0);
      after_ = std::max(after_, std::isfinite(value) ? text.size() - point : 0);
    }
    for (const double value : shown) width_ = std::max({width_, plain(value).size(), before_ + after_});
  }

  std::string operator()(double value) const {
    std::string text = plain(value);
    if (std::isfinite(value) && !scientific_ && spec_.empty()) {
      text.append(after_ - (text.size() - std::min(text.find('.'), text.size())), ' ');
    }
    return std::string(width_ - text.size(), ' ') + text;
  }

 private:
  // "1.", "2.5", "0.3333", "1.2346e-07", "nan"
  std::string plain(double signed_value) const {
    const double value = gradus::shown(signed_value);
    if (!spec_.empty()) return fmt::format(fmt::runtime(fmt::format("{{:{}}}", spec_)), value);
    if (!std::isfinite(value)) return fmt::format("{}", value);
    if (scientific_) return fmt::format("{:.4e}", value);
    std::string text = fmt::format("{:.4f}", value);
    while (text.back() == '0') text.pop_back();
    return text;
  }

  std::string_view spec_;  // as the caller wants each number, or empty
  bool scientific_ = false;
  std::size_t before_ = 0, after_ = 0, width_ = 0;
};

bool leaves_out(const Tensor& x, Index dim) {
  return x.numel() > all_shown && x.size(dim) > 2 * edge + 1;
}

// f(index) for the indices of a dimension that are shown; -1 stands for those left out.
template <class F>
void each_shown(const Tensor& x, Index dim, const F& f) {
  for (Index i = 0; i < x.size(dim); ++i) {
    if (leaves_out(x, dim) && i == edge) {
      f(Index{-1});
      i = x.size(dim) - edge;
    }
    f(i);
  }
}

struct Printer {
  const Tensor& x;
  const std::vector<double>& values;
  std::string text = "tensor(";

  Index stride(Index dim) const {
    Index product = 1;
    for (Index d = dim + 1; d < x.rank(); ++d) product *= x.size(d);
    return product;
  }

  void collect(std::vector<double>& shown, Index dim, Index offset) const {
    if (dim == x.rank()) {
      shown.push_back(values[static_cast<std::size_t>(offset)]);
      return;
    }
    each_shown(x, dim, [&](Index i) {
      if (i >= 0) collect(shown, dim + 1, offset + i * stride(dim));
    });
  }

  // One bracket level, whose elements start at `offset`.
  void brackets(const Columns& columns, Index dim, Index offset) {
    const std::string indent(8 + static_cast<std::size_t>(dim), ' ');  // below the first element
    const bool innermost = dim + 1 == x.rank();
    const std::string break_line = std::string(static_cast<std::size_t>(x.rank() - dim - 1), '\n') + indent;
    std::size_t line = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
    text += '[';
    bool first = true;
    each_shown(x, dim, [&](Index i) {
      if (!first) text += innermost ? ", " : "," + break_line;
      first = false;
      if (i < 0) {
        text += "...";
        return;
      }
      if (!innermost) return brackets(columns, dim + 1, offset + i * stride(dim));
      const std::string number = columns(values[static_cast<std::size_t>(offset + i)]);
      if (text.size() - line + number.size() > line_width) {
        text.pop_back();
        text += "\n" + indent;
        line = text.size() - indent.size();
      }
      text += number;
    });
    text += ']';
  }
};

}  // namespace

std::string to_string(const Tensor& x) {
  return to_string(x, {});
}

std::string to_string(const Tensor& x, std::string_view spec) {
  if (!x.defined()) return "tensor(undefined)";
  const std::vector<double> values = x.to_vector();
  Printer printer{x, values};
  std::vector<double> shown;
  if (x.numel() > 0) printer.collect(shown, 0, 0);
  const Columns columns(shown, spec);
  if (x.rank() == 0) {
    if (!spec.empty()) return columns(values[0]);
    printer.text += columns(values[0]);
  } else {
    if (x.numel() == 0) {
      printer.text += "[]";
    } else {
      printer.brackets(columns, 0, 0);
    }
    printer.text += fmt::format(", shape {}", x.shape());
  }
  if (x.dtype() == DType::f64) printer.text += ", f64";
  return printer.text + ")";
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) {
  return out << to_string(x);
}

}  // namespace gradus
