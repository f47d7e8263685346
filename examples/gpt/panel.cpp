// Every line is cut to the terminal's width: one that wraps could not be redrawn. The curve has two by four dots a
// character (Unicode's braille patterns), or one '*' where the terminal is not UTF-8.
#include "panel.h"

#include <fmt/format.h>
#include <langinfo.h>

#include <algorithm>
#include <clocale>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <gradus/models/text/text.h>

#include "numbers.h"

namespace gpt {
namespace {

using gradus::Index;

constexpr auto period = std::chrono::milliseconds(100);  // between two drawings
constexpr std::size_t curve_rows = 5, most_lines = 3 + curve_rows + 1;
constexpr std::size_t narrowest = 16;  // columns: in fewer there is nothing to see of the panel
constexpr std::string_view dim = "\x1b[2m", blue = "\x1b[34m", yellow = "\x1b[33m", bold = "\x1b[1m",
                           plain_text = "\x1b[0m";

bool is_said(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// The terminal's own encoding, whatever this program's locale.
bool terminal_is_unicode() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const bool unicode = std::string_view(::nl_langinfo_l(CODESET, locale)) == "UTF-8";
  ::freelocale(locale);
  return unicode;
}

// Calls f(place, columns up to and with this character) for each character of `line` until it returns false. Escape
// sequences, which are all this file's own and end with 'm', take no columns.
template <class F>
void each_column(const std::u32string& line, const F& f) {
  std::size_t shown = 0;
  bool escape = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    escape |= line[i] == U'\x1b';
    if (!escape) shown += static_cast<std::size_t>(gradus::models::display_width(line[i]));
    if (!f(i, shown)) return;
    escape &= line[i] != U'm';
  }
}

std::size_t columns_of(const std::string& line) {
  std::size_t columns = 0;
  each_column(gradus::models::decode_utf8(line), [&](std::size_t, std::size_t shown) {
    columns = shown;
    return true;
  });
  return columns;
}

// What of `line` fits into `width` columns.
std::string cut(const std::string& line, std::size_t width) {
  const std::u32string characters = gradus::models::decode_utf8(line);
  std::size_t end = characters.size();
  each_column(characters, [&](std::size_t i, std::size_t shown) {
    if (shown > width) end = i;
    return shown <= width;
  });
  if (end == characters.size()) return line;
  const bool colored = characters.find(U'\x1b') < end;
  return gradus::models::encode_utf8(characters.substr(0, end)) + std::string(colored ? plain_text : "");
}

// A grid of dots, each cell two wide and four high.
class Plot {
 public:
  Plot(std::size_t columns, std::size_t rows) : columns_(columns), rows_(rows), train_(columns * rows), held_(train_) {}

  // Places are 0 .. 1 from the left and from the top.
  void dot(double x, double y, bool held_out) {
    constexpr unsigned char bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const auto column = place(x, 2 * columns_), row = place(y, 4 * rows_);
    auto& cells = held_out ? held_ : train_;
    cells[row / 4 * columns_ + column / 2] |= bits[row % 4][column % 2];
  }
  std::string row(std::size_t r, bool unicode, bool colors) const {
    std::string line;
    for (std::size_t c = 0; c < columns_; ++c) {
      const unsigned char train = train_[r * columns_ + c], held = held_[r * columns_ + c];
      if ((train | held) == 0) {
        line += ' ';
        continue;
      }
      const char32_t braille = 0x2800U + (train | held);
      if (colors) line += held != 0 ? yellow : blue;
      line += unicode ? gradus::models::encode_utf8({&braille, 1}) : held != 0 ? "o" : "*";
      if (colors) line += plain_text;
    }
    return line;
  }

 private:
  static std::size_t place(double at, std::size_t count) {
    return static_cast<std::size_t>(std::lround(std::clamp(at, 0.0, 1.0) * static_cast<double>(count - 1)));
  }
  std::size_t columns_, rows_;
  std::vector<unsigned char> train_, held_;
};

std::vector<std::string> curve(const LossHistory& history, std::size_t width, bool unicode, bool colors) {
  constexpr std::size_t rows = curve_rows, margin = 8, widest = 64;
  if (width < 3 * margin || history.train().size() < 2) return {};
  const std::vector<LossHistory::Point> points = history.smoothed();
  const auto& held_out = history.held_out();
  // The steep beginning would leave the rest flat: the curve is drawn as far up as it was after a twentieth.
  double low = points.back().loss, high = low;
  for (std::size_t i = points.size() / 20; i < points.size(); ++i) {
    low = std::min(low, points[i].loss);
    high = std::max(high, points[i].loss);
  }
  for (const auto& point : held_out) low = std::min(low, point.loss), high = std::max(high, std::min(point.loss, high));
  if (!(high > low)) high = low + 1e-3;
  Plot plot(std::min(widest, width - margin), rows);
  const double last = std::max(points.back().step, held_out.empty() ? 0 : held_out.back().step);
  const auto draw = [&](const LossHistory::Point& point, bool held) {
    if (point.loss <= high) plot.dot(point.step / last, (high - point.loss) / (high - low), held);
  };
  for (const auto& point : points) draw(point, false);
  for (const auto& point : held_out) draw(point, true);
  std::vector<std::string> lines;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::string label = r == 0          ? fmt::format("{:7.3f}", high)
                              : r == rows - 1 ? fmt::format("{:7.3f}", low)
                                              : std::string(7, ' ');
    lines.push_back(label + " " + plot.row(r, unicode, colors));
  }
  return lines;
}

}  // namespace

Panel::Panel(std::string_view title, bool quiet)
    : title_(gradus::models::printable(title)),
      quiet_(quiet),
      terminal_(terminal_can_move()),
      unicode_(terminal_is_unicode()),
      colors_(!is_said("NO_COLOR")) {}

std::string Panel::speed() const {
  return grouped(std::llround(tokens_ / std::max(seconds_, 1e-9))) + " tokens/s";
}

std::vector<std::string> Panel::draw(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report,
                                     const LossHistory& history, std::size_t width) const {
  const auto colored = [&](std::string_view color, const std::string& text) {
    return colors_ ? fmt::format("{}{}{}", color, text, plain_text) : text;
  };
  const double done = trainer.progress();
  const Index steps = trainer.options().steps;
  const std::string place =
      fmt::format("  step {}{}  ", grouped(report.step), steps > 0 ? " of " + grouped(steps) : "");
  const std::string left =
      fmt::format("{:.0f} %  {} left", 100 * done, clock_time(trainer.seconds() * (1 - done) / std::max(done, 1e-9)));
  std::vector<std::string> lines{
      colored(bold, title_) + place + colored(blue, bar(done, width, columns_of(title_ + place + left))) + left,
      fmt::format("{}  {}", colored(blue, fmt::format("loss {:.4f}", gradus::shown(loss_))),
                  colored(yellow, held_out_.empty() ? "held-out not measured yet" : held_out_)),
      colored(dim,
              fmt::format("learning rate {:.2e}  gradient norm {:.3f}  {}", report.lr, report.grad_norm, speed()))};
  for (std::string& line : curve(history, width, unicode_, colors_)) lines.push_back(std::move(line));
  if (!samples_.empty()) lines.push_back(colored(dim, "samples ") + samples_);
  if (!page_.empty()) lines.push_back(colored(dim, "page    ") + page_);
  for (std::string& line : lines) line = cut(line, width);
  return lines;
}

// As wide as the rest of its line leaves room for, and none where that is little.
std::string Panel::bar(double done, std::size_t width, std::size_t taken) const {
  constexpr std::size_t widest = 24, least = 4, gap = 2;
  const std::size_t columns = std::min(widest, width - std::min(width, taken + gap));
  if (columns < least) return "";
  const auto filled = static_cast<std::size_t>(done * static_cast<double>(columns));
  std::string bar;
  for (std::size_t i = 0; i < columns; ++i) bar += unicode_ ? (i < filled ? "━" : "─") : (i < filled ? "=" : "-");
  return bar + std::string(gap, ' ');
}

std::string Panel::plain(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report) const {
  const double done = trainer.progress();
  const Index steps = trainer.options().steps;
  return fmt::format("step {}  loss {:.4f}{}  lr {:.1e}  norm {:.2f}  {}  {} left",
                     steps > 0 ? fmt::format("{}/{}", grouped(report.step), grouped(steps)) : grouped(report.step),
                     gradus::shown(loss_), fresh_ ? "  " + held_out_ : "", report.lr, report.grad_norm, speed(),
                     clock_time(trainer.seconds() * (1 - done) / std::max(done, 1e-9)));
}

void Panel::update(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report,
                   const LossHistory& history) {
  constexpr double keep = 0.99;
  loss_weight_ = keep * loss_weight_ + (1 - keep);
  loss_ += (report.loss - loss_) * (1 - keep) / loss_weight_;
  tokens_ = keep * tokens_ + static_cast<double>(report.tokens);
  seconds_ = keep * seconds_ + report.seconds;
  if (quiet_) return;

  if (!terminal_) {
    print_line(trainer, report);
  } else if (const auto now = std::chrono::steady_clock::now(); now - drawn_ >= period || trainer.done()) {
    draw_or_print(trainer, report, history);
  }
  std::fflush(stdout);
}

void Panel::print_line(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report) {
  constexpr int lines = 20;
  constexpr auto longest_silence = std::chrono::minutes(1);
  if (!page_.empty() && !std::exchange(page_said_, true)) say("page {}\n", page_);
  const auto now = std::chrono::steady_clock::now();
  const bool silent = now - said_ >= longest_silence;
  if (report.step > 1 && trainer.progress() * lines < lines_ && !silent) return;
  said_ = now;
  lines_ = static_cast<int>(trainer.progress() * lines) + 1;
  say("{}\n", plain(trainer, report));
  if (fresh_ && !samples_.empty()) say("samples {}\n", samples_);
  fresh_ = false;  // among lines that stay, a figure stands where it was measured
}

void Panel::draw_or_print(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report,
                          const LossHistory& history) {
  const Window window = window_now();
  const bool resizing = height_ > 0 && window != window_;
  window_ = window;
  drawn_ = std::chrono::steady_clock::now();
  if (resizing && !trainer.done()) return;  // until it has one size for a while
  const std::vector<std::string> lines = draw(trainer, report, history, window.columns - 1);
  // A narrower window may have wrapped what was drawn, and a lower one has pushed it out of reach: it stays as it is.
  if (window.columns < widest_ || window.rows <= height_) height_ = 0;
  if (window.rows <= most_lines + (page_.empty() ? 0 : 1) || window.columns < narrowest) {
    height_ = 0;
    print_line(trainer, report);
    return;
  }
  std::string frame = height_ > 0 ? fmt::format("\x1b[{}A\r", height_) : "\n";
  widest_ = 0;
  for (const std::string& line : lines) {
    frame += line + "\x1b[K\n";
    widest_ = std::max(widest_, columns_of(line));
  }
  height_ = lines.size();
  std::fwrite(frame.data(), 1, frame.size(), stdout);
}

void Panel::set_held_out(const std::string& text, double loss, const gradus::models::HeldOut& all) {
  held_out_ = "held-out " + text;
  if (const auto best = better_before(loss, all.best, all.best_step)) {
    held_out_ += fmt::format(" (best {} at step {})", *best, grouped(all.best_step));
  }
  fresh_ = true;
}

void Panel::set_samples(const std::vector<std::string>& samples) {
  samples_ = gradus::models::printable(fmt::format("{}", fmt::join(samples, "  ")));
}

void Panel::set_page(const std::string& address) {
  page_ = address;
}

void Panel::finish() {
  if (height_ > 0) std::fputs("\n", stdout);
  std::fflush(stdout);
}

}  // namespace gpt
