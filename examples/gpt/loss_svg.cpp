// Drawn from the axes outward. The first losses of a run are far above all that follows, so the picture ends a little
// above the 95th percentile, and lines leave it there.
#include "loss_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "numbers.h"

namespace gpt {
namespace {

using Points = std::vector<LossHistory::Point>;

constexpr double width = 760, height = 400, left = 58, right = 24, top = 62, bottom = 46;

struct Range {
  double low, high;
};

// 1, 2 or 5 times a power of ten, so that about `wanted` of them fill the range.
double tick_distance(const Range& range, int wanted) {
  const double exact = std::max((range.high - range.low) / wanted, 1e-9);
  const double power = std::pow(10, std::floor(std::log10(exact)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= exact) return factor * power;
  }
  return 10 * power;
}

std::vector<double> ticks(const Range& range, double distance) {
  std::vector<double> result;
  const auto last = static_cast<gradus::Index>(std::floor(range.high / distance));
  for (auto i = static_cast<gradus::Index>(std::ceil(range.low / distance)); i <= last; ++i) {
    result.push_back(static_cast<double>(i) * distance);
  }
  return result;
}

Range loss_range(const LossHistory& history) {
  std::vector<double> losses;
  for (const auto& point : history.smoothed()) losses.push_back(point.loss);
  for (const auto& point : history.held_out()) losses.push_back(point.loss);
  std::ranges::sort(losses);
  const double low = losses.front(), high = losses[(losses.size() - 1) * 95 / 100];
  const double room = std::max(0.06 * (high - low), 1e-3);
  return {std::max(0.0, low - room), high + room};
}

class Canvas {
 public:
  Canvas(Range steps, Range losses) : steps_(steps), losses_(losses) {}

  double x(double step) const {
    return left + (step - steps_.low) / (steps_.high - steps_.low) * (width - left - right);
  }
  double y(double loss) const {
    return top + (losses_.high - loss) / (losses_.high - losses_.low) * (height - top - bottom);
  }
  std::string line(const Points& points, const char* style) const {
    std::string path;
    for (const auto& point : points) path += fmt::format(" {:.1f},{:.1f}", x(point.step), y(point.loss));
    return fmt::format(
        "<polyline clip-path=\"url(#plot)\" fill=\"none\" stroke-linejoin=\"round\" {} points=\"{}\"/>\n", style,
        path.empty() ? "" : path.substr(1));
  }
  std::string axes() const {
    std::string svg;
    const double loss_step = tick_distance(losses_, 6), step_step = std::max(1.0, tick_distance(steps_, 7));
    const int digits = std::max(0, static_cast<int>(-std::floor(std::log10(loss_step))));
    for (const double loss : ticks(losses_, loss_step)) {
      svg += fmt::format("<path stroke=\"#e7e9ee\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", left, y(loss), width - right);
      svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:.{}f}</text>\n", left - 9, y(loss) + 4,
                         loss, digits);
    }
    for (const double step : ticks(steps_, step_step)) {
      svg += fmt::format("<path stroke=\"#c6cbd6\" d=\"M{:.1f} {:.1f}v5\"/>", x(step), height - bottom);
      svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", x(step),
                         height - bottom + 20, grouped(std::llround(step)));
    }
    svg +=
        fmt::format("<path stroke=\"#c6cbd6\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", left, height - bottom, width - right);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">step</text>\n", width - right, height - 8);
    return svg;
  }

 private:
  Range steps_, losses_;
};

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<') {
      result += "&lt;";
    } else if (c == '&') {
      result += "&amp;";
    } else {
      result += c;
    }
  }
  return result;
}

std::string legend(double x, const char* color, const std::string& text) {
  return fmt::format(
      "<path stroke=\"{}\" stroke-width=\"2.5\" stroke-linecap=\"round\" d=\"M{:.0f} 46h18\"/>"
      "<text x=\"{:.0f}\" y=\"50\">{}</text>\n",
      color, x, x + 25, text);
}

}  // namespace

std::string loss_svg(const LossHistory& history, const std::string& title) {
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\">\n"
      "<rect width=\"{0}\" height=\"{1}\" rx=\"8\" fill=\"#ffffff\" stroke=\"#e1e4ea\"/>\n"
      "<g font-family=\"system-ui, Helvetica, DejaVu Sans, sans-serif\" font-size=\"12\" fill=\"#5b6270\">\n"
      "<text x=\"24\" y=\"28\" font-size=\"15\" font-weight=\"600\" fill=\"#22262e\">{2}</text>\n",
      width, height, escaped(title));
  if (history.train().empty()) return svg + "<text x=\"24\" y=\"50\">no steps yet</text>\n</g>\n</svg>\n";

  double last = history.train().back().step;
  if (!history.held_out().empty()) last = std::max(last, history.held_out().back().step);
  const Canvas canvas({0, std::max(1.0, last)}, loss_range(history));
  svg += fmt::format("<clipPath id=\"plot\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n", left,
                     top - 4, width - left - right + 4, height - top - bottom + 4);
  svg += canvas.axes();
  svg += canvas.line(history.train(), "stroke=\"#b9cdf0\" stroke-width=\"1\"");
  const Points smoothed = history.smoothed();
  svg += canvas.line(smoothed, "stroke=\"#2f6bd0\" stroke-width=\"2\"");
  svg += legend(24, "#2f6bd0", fmt::format("training {:.4f}", smoothed.back().loss));
  if (!history.held_out().empty()) {
    svg += canvas.line(history.held_out(), "stroke=\"#e0812d\" stroke-width=\"2\"");
    const auto best = std::ranges::min_element(history.held_out(), {}, &LossHistory::Point::loss);
    for (const auto& point : history.held_out()) {
      svg += fmt::format("<circle clip-path=\"url(#plot)\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" fill=\"#e0812d\"/>",
                         canvas.x(point.step), canvas.y(point.loss));
    }
    svg += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\" fill=\"none\" stroke=\"#e0812d\" stroke-width=\"1.5\"/>\n",
        canvas.x(best->step), canvas.y(best->loss));
    svg += legend(170, "#e0812d",
                  fmt::format("held out {:.4f}, best {:.4f} at step {}", history.held_out().back().loss, best->loss,
                              grouped(std::llround(best->step))));
  }
  return svg + "</g>\n</svg>\n";
}

}  // namespace gpt
