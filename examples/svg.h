// Svg: a picture in data coordinates, for the examples that show what a network has learned. Any browser opens it.
#pragma once

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gradus/core/check.h>

class Svg {
 public:
  /// `x` and `y` are the ranges of the data that the picture of `width` x `height` pixels shows, in a margin.
  Svg(std::pair<double, double> x, std::pair<double, double> y, double width = 640, double height = 400)
      : x_(x), y_(y), width_(width), height_(height) {}

  void rect(double left, double bottom, double wide, double high, const std::string& fill) {
    body_ += fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.2f}" height="{:.2f}" fill="{}"/>)", px(left),
                         py(bottom + high), px(left + wide) - px(left), py(bottom) - py(bottom + high), fill) +
             "\n";
  }
  void dot(double x, double y, const std::string& fill, double radius = 4) {
    body_ +=
        fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}" stroke="#fff"/>)", px(x), py(y), radius, fill) +
        "\n";
  }
  void line(const std::vector<double>& x, const std::vector<double>& y, const std::string& color, double wide = 2.5,
            const std::string& dashes = "none") {
    std::string points;
    for (std::size_t i = 0; i < x.size(); ++i) points += fmt::format("{:.1f},{:.1f} ", px(x[i]), py(y[i]));
    body_ += fmt::format(R"(<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-dasharray="{}"/>)",
                         points, color, wide, dashes) +
             "\n";
  }
  void text(double x, double y, const std::string& words, const std::string& color = "#333", int size = 14,
            const std::string& anchor = "middle") {
    body_ += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{}" text-anchor="{}">{}</text>)", px(x),
                         py(y), color, size, anchor, words) +
             "\n";
  }
  /// Writes the file and says so.
  void save(const std::string& path, const std::string& title) const {
    std::ofstream file(path);
    file << fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}")"
                        R"( font-family="sans-serif"><rect width="100%" height="100%" fill="#fff"/>)"
                        R"(<text x="{2}" y="24" font-size="16" text-anchor="middle" fill="#222">{3}</text>)",
                        width_ + 2 * margin, height_ + 2 * margin, width_ / 2 + margin, title)
         << "\n"
         << body_ << "</svg>\n";
    gradus::check(file.flush().good(), "svg: cannot write '{}'; check the folder and its permissions", path);
    fmt::print("wrote {}\n", path);
  }

 private:
  static constexpr double margin = 36;
  double px(double x) const { return margin + (x - x_.first) / (x_.second - x_.first) * width_; }
  double py(double y) const { return margin + (y_.second - y) / (y_.second - y_.first) * height_; }

  std::pair<double, double> x_, y_;
  double width_, height_;
  std::string body_;
};

inline constexpr const char* blue = "#3366cc";
inline constexpr const char* red = "#dc3912";
