// The order of draws follows PyTorch's CPU distributions: 24 bits per float, 53 bits per double, and normal numbers in
// groups of sixteen whose first half are the radii and second half the angles. So does the rounding: std::fma stands
// where PyTorch's AVX2 code multiplies and adds in one instruction.
#include <gradus/core/runtime/random.h>

#include <atomic>
#include <charconv>
#include <cmath>
#include <locale>
#include <numbers>
#include <numeric>
#include <sstream>

#include <gradus/core/kernels/kernels.h>

namespace gradus {

void Generator::manual_seed(std::uint64_t seed) {
  engine_.seed(static_cast<std::uint32_t>(seed));
  next_normal_.reset();
}

std::uint64_t Generator::random64() {
  const std::uint64_t high = random();
  return high << 32 | random();
}

template <>
float Generator::uniform<float>() {
  return static_cast<float>(random() & 0xffffff) * 0x1p-24F;
}

template <>
double Generator::uniform<double>() {
  return static_cast<double>(random64() & 0x1fffffffffffff) * 0x1p-53;
}

double Generator::normal() {
  if (next_normal_) return *std::exchange(next_normal_, std::nullopt);
  const double angle = 2 * std::numbers::pi * uniform<double>();
  const double radius = std::sqrt(-2 * std::log1p(-uniform<double>()));
  next_normal_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

Index Generator::below(Index n) {
  check(n >= 1 && n <= Index{1} << 32, "random: below({}) asked for; n must be from 1 to 2^32", n);
  return static_cast<Index>(random()) % n;
}

template <class T>
void Generator::fill_uniform(std::span<T> out, double low, double high) {
  const T start = static_cast<T>(low), width = static_cast<T>(high) - start;
  for (T& x : out) x = std::fma(uniform<T>(), width, start);
}

template <class T>
void Generator::fill_normal(std::span<T> out, double mean, double std) {
  constexpr std::size_t group = 16;
  if (out.size() < group) {
    for (T& x : out) x = static_cast<T>(std::fma(normal(), std, mean));
    return;
  }
  for (T& x : out) x = uniform<T>();
  const auto shape = [scale = static_cast<T>(std), shift = static_cast<T>(mean)](T* x, std::size_t groups) {
    kernels::kernels<T>().normal(x, static_cast<Index>(groups), shift, scale);
  };
  shape(out.data(), out.size() / group);
  if (out.size() % group != 0) {  // the last group overlaps the one before it and draws again
    T* const last = out.data() + out.size() - group;
    for (std::size_t i = 0; i < group; ++i) last[i] = uniform<T>();
    shape(last, 1);
  }
}

template void Generator::fill_uniform<float>(std::span<float>, double, double);
template void Generator::fill_uniform<double>(std::span<double>, double, double);
template void Generator::fill_normal<float>(std::span<float>, double, double);
template void Generator::fill_normal<double>(std::span<double>, double, double);

std::vector<Index> Generator::permutation(Index n) {
  check(n >= 0 && n <= Index{1} << 32, "randperm: {} numbers asked for; n must be from 0 to 2^32", n);
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  for (Index i = 0; i + 1 < n; ++i) {
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(i + below(n - i))]);
  }
  return order;
}

std::string Generator::state() const {
  std::ostringstream text;
  text.imbue(std::locale::classic());  // the program's may group digits
  text << engine_;
  text << fmt::format(" {}", next_normal_ ? fmt::format("{:a}", *next_normal_) : "none");
  return std::move(text).str();
}

void Generator::set_state(const std::string& text) {
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  std::mt19937 engine;
  std::string normal;
  in >> engine >> normal;
  bool good = !in.fail() && (in >> std::ws).eof();
  double value = 0;
  if (normal != "none") {  // "-0x1.8p+0"; from_chars reads the same in every locale, but no 0x
    const bool negative = normal.starts_with('-');
    const std::string_view digits = std::string_view(normal).substr(negative ? 1 : 0);
    const char* const end = digits.data() + digits.size();
    good = good && digits.starts_with("0x") && digits.size() > 2;
    if (good) {
      const auto [stop, error] = std::from_chars(digits.data() + 2, end, value, std::chars_format::hex);
      good = error == std::errc() && stop == end && !std::signbit(value);
      if (negative) value = -value;
    }
  }
  check(good, "generator: a state of {} characters is not one that state() wrote; the file it came from is damaged",
        text.size());
  engine_ = engine;
  next_normal_ = normal == "none" ? std::nullopt : std::optional(value);
}

Generator& default_generator() {
  constexpr std::uint64_t first_seed = 42;
  static std::atomic<std::uint64_t> threads{0};
  thread_local Generator generator(first_seed + threads.fetch_add(1));
  return generator;
}

void manual_seed(std::uint64_t seed) {
  default_generator().manual_seed(seed);
}

std::vector<Index> randperm(Index n, Generator& generator) {
  return generator.permutation(n);
}

}  // namespace gradus
