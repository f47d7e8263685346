// Handwritten digits: MNIST's, and digits drawn with random slant, size, place, stroke and noise for when there is no
// file.
#pragma once

#include <gradus/gradus.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

using Digits = gradus::nn::LabelledImages;  // images (N, 1, 28, 28), 0 paper .. 1 ink

inline Digits read_mnist(const std::string& images, const std::string& labels) {
  Digits digits = gradus::nn::read_mnist(images, labels);
  gradus::check(digits.images.size(2) == 28 && digits.images.size(3) == 28,
                "digits: '{}' has images of {}; (N, 1, 28, 28) is needed", images, digits.images.shape());
  return digits;
}

/// Strokes of the digits in a box 0 .. 4 wide and 0 .. 6 high, y downwards.
inline Digits draw_digits(gradus::Index count, gradus::Generator& generator) {
  using Points = std::vector<std::array<double, 2>>;
  static const std::array<std::vector<Points>, 10> strokes{{
      {{{2, 0}, {0.4, 1}, {0, 3}, {0.4, 5}, {2, 6}, {3.6, 5}, {4, 3}, {3.6, 1}, {2, 0}}},
      {{{1, 1}, {2, 0}, {2, 6}}},
      {{{0, 1}, {1, 0}, {3, 0}, {4, 1.2}, {3.5, 2.7}, {0, 6}, {4, 6}}},
      {{{0, 0}, {4, 0}, {1.8, 2.3}, {3.5, 3}, {4, 4.4}, {3, 6}, {1, 6}, {0, 5}}},
      {{{3, 6}, {3, 0}, {0, 4}, {4, 4}}},
      {{{4, 0}, {0.5, 0}, {0.2, 2.6}, {2.5, 2.3}, {4, 3.6}, {3.8, 5}, {2.5, 6}, {0, 5.6}}},
      {{{3.2, 0}, {1, 1.8}, {0, 4}, {0.8, 5.7}, {2.4, 6}, {4, 5}, {3.6, 3.5}, {2, 3}, {0.2, 4}}},
      {{{0, 0}, {4, 0}, {1.5, 6}}},
      {{{2, 2.8},
        {0.4, 2},
        {0.5, 0.6},
        {2, 0},
        {3.5, 0.6},
        {3.6, 2},
        {2, 2.8},
        {0, 4.2},
        {0.6, 5.7},
        {2, 6},
        {3.4, 5.7},
        {4, 4.2},
        {2, 2.8}}},
      {{{3.8, 2}, {2.4, 3.2}, {0.6, 2.8}, {0.2, 1.2}, {1.6, 0}, {3.4, 0.3}, {3.8, 2}, {3, 6}}},
  }};
  const auto between = [&](double low, double high) { return low + (high - low) * generator.uniform<double>(); };
  std::vector<float> values;
  std::vector<std::int32_t> labels;
  for (gradus::Index n = 0; n < count; ++n) {
    labels.push_back(static_cast<std::int32_t>(generator.below(10)));
    const double width = between(2.2, 3.8), height = between(2.6, 3.4), slant = between(-0.35, 0.35);
    const double left = 14 + between(-3, 3) - 2 * width, top = 14 + between(-2.5, 2.5) - 3 * height;
    const double pen = between(0.8, 1.5), shake = 0.25;
    std::vector<std::array<double, 4>> lines;
    for (const Points& stroke : strokes[static_cast<std::size_t>(labels.back())]) {
      Points placed;
      for (const auto& [x, y] : stroke) {
        const double px = x + shake * generator.normal() + slant * (3 - y), py = y + shake * generator.normal();
        placed.push_back({left + px * width, top + py * height});
      }
      for (std::size_t i = 1; i < placed.size(); ++i) {
        lines.push_back({placed[i - 1][0], placed[i - 1][1], placed[i][0], placed[i][1]});
      }
    }
    for (int row = 0; row < 28; ++row) {
      for (int col = 0; col < 28; ++col) {
        double nearest = 1e9;
        for (const auto& [x0, y0, x1, y1] : lines) {
          const double dx = x1 - x0, dy = y1 - y0, length = std::max(1e-9, dx * dx + dy * dy);
          const double t = std::clamp(((col - x0) * dx + (row - y0) * dy) / length, 0.0, 1.0);
          nearest = std::min(nearest, std::hypot(col - x0 - t * dx, row - y0 - t * dy));
        }
        const double ink = std::clamp(pen + 0.5 - nearest, 0.0, 1.0) + 0.08 * generator.normal();
        values.push_back(static_cast<float>(std::clamp(ink, 0.0, 1.0)));
      }
    }
  }
  return {gradus::tensor(values, {count, 1, 28, 28}), labels};
}

/// Images side by side, as characters: two rows of pixels to a line of text.
inline std::string picture(const gradus::Tensor& images, gradus::Index first, gradus::Index count) {
  const std::vector<double> values = images.to_vector();
  const std::string shades = " .:-=+*#%@";
  std::string text;
  for (gradus::Index row = 0; row < 28; row += 2) {
    for (gradus::Index n = first; n < first + count; ++n) {
      for (gradus::Index col = 0; col < 28; ++col) {
        const auto at = static_cast<std::size_t>((n * 28 + row) * 28 + col);
        const double ink = (values[at] + values[at + 28]) / 2;
        text += shades[static_cast<std::size_t>(std::clamp(ink, 0.0, 1.0) * 9.999)];
      }
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    text += '\n';
  }
  return text;
}
