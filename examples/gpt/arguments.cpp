// A walk over the command line before CLI11 reads it, for what CLI11 would read otherwise than it was meant: "010" as
// eight, an empty value as the word behind it, the second of two values in silence. Its errors name the flag that was
// probably meant.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <span>

#include "commands.h"
#include "suggest.h"

namespace gpt {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_flag(std::string_view word) {
  return word.size() > 1 && word.front() == '-' && !is_digit(word[1]) && word[1] != '.';
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

bool may_be_repeated(const CLI::Option& option) {
  return option.get_items_expected_max() > 1 || !takes_value(option);
}

// "N" of "N:INT in [1 - 256]".
std::string type_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type.substr(0, type.find(':'));
}

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

bool has_flag(const CLI::App& command, const std::string& name) {
  return command.get_option_no_throw(name) != nullptr;
}

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] void refuse_flag(const CLI::App& app, const CLI::App& command, const std::string& flag) {
  const std::string long_form = flag.starts_with("--") ? flag : "-" + flag;  // "-steps"
  const std::string help = fmt::format("(see gpt {} --help)", command.get_name());
  const std::vector<std::string> flags = flags_of(command);
  if (const auto meant = nearest(long_form, flags)) {
    refuse("there is no flag {}; did you mean {}? {}", flag, *meant, help);
  }
  for (const CLI::App* other : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (has_flag(*other, flag)) {
      refuse("{} is a flag of gpt {}, not of gpt {} {}", flag, other->get_name(), command.get_name(), help);
    }
  }
  refuse("there is no flag {} {}", flag, help);
}

// A number in decimal digits, without leading zeros, in which CLI11 would see the sign of an octal one.
std::string whole_number(const std::string& name, const std::string& text) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || !std::ranges::all_of(digits, is_digit)) {
    refuse("{} is '{}'; write a whole number in digits, such as 1000", name, text);
  }
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  const std::string number = (negative ? "-" : "") + std::string(digits);
  std::int64_t value = 0;
  if (std::from_chars(number.data(), number.data() + number.size(), value).ec != std::errc{}) {
    refuse("{} is {}, beyond every number of 64 bits; write a smaller one", name, text);
  }
  return number;
}

// A decimal number; CLI11 would take hexadecimal ones, "nan" and "inf" too.
std::string real_number(const std::string& name, const std::string& text) {
  const bool plain = std::ranges::all_of(
      text, [](char c) { return is_digit(c) || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E'; });
  char* end = nullptr;
  errno = 0;
  const double value = std::strtod(text.c_str(), &end);
  if (!plain || end != text.c_str() + text.size()) {
    const std::size_t comma = text.find(',');
    const std::string with_point = comma == std::string::npos ? "" : std::string(text).replace(comma, 1, ".");
    refuse("{} is '{}'; write a number in digits, such as {}", name, text,
           comma == std::string::npos ? "0.5" : with_point);
  }
  if (!std::isfinite(value)) refuse("{} is {}, beyond every number of 64 bits; write a smaller one", name, text);
  return text;
}

// Names of files and folders that no Linux file system has, which the system's own message would print whole.
void check_path_length(const std::string& name, const std::string& path) {
  constexpr std::size_t most = 4095, most_part = 255;
  std::size_t longest = 0, begin = 0;
  for (std::size_t end = 0; end != std::string::npos; begin = end + 1) {
    end = path.find('/', begin);
    longest = std::max(longest, std::min(end, path.size()) - begin);
  }
  if (path.size() <= most && longest <= most_part) return;
  refuse("{} is a path of {} bytes, its longest part has {}; a system takes at most {} and {}: use a shorter one", name,
         path.size(), longest, most, most_part);
}

std::string checked_value(const CLI::Option& option, const std::string& name, const std::string& value) {
  const std::string type = type_of(option);
  constexpr std::string_view may_be_empty = "--prompt";
  if (value.empty() && option.get_positional()) refuse("{} is empty; name a folder", name);
  if (value.empty() && name != may_be_empty) refuse("{} is empty; write {} behind it, or leave it out", name, type);
  if (type == "N" || type == optional_number) return whole_number(name, value);
  if (type == "X" || type == "P" || type == "S") return real_number(name, value);
  if (type != "TEXT" || option.get_positional()) check_path_length(name, value);
  return value;
}

// One command's arguments, its name not included.
class Walk {
 public:
  Walk(const CLI::App& app, const CLI::App& command, std::span<const std::string> words)
      : app_(app), command_(command), words_(words) {}

  std::vector<std::string> run() {
    while (place_ < words_.size()) {
      const std::string& word = words_[place_++];
      if (word == "--") {
        result_.push_back(word);
        result_.insert(result_.end(), words_.begin() + static_cast<std::ptrdiff_t>(place_), words_.end());
        break;
      }
      if (is_flag(word)) {
        flag(word);
      } else {
        positional(word);
      }
    }
    return std::move(result_);
  }

 private:
  void flag(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const CLI::Option* option = command_.get_option_no_throw(name);
    if (option == nullptr) refuse_flag(app_, command_, name);
    last_ = option;
    if (!takes_value(*option)) {
      if (equals != std::string::npos) refuse("{} takes no value; write it alone", name);
      result_.push_back(word);
      return;
    }
    const bool has_number = place_ < words_.size() && std::ranges::all_of(words_[place_], is_digit);
    if (type_of(*option) == optional_number && equals == std::string::npos && !has_number) {
      result_.push_back(name);
      result_.push_back(option->get_default_str());
      return;
    }
    const std::string value = equals == std::string::npos ? next_value(*option, name) : word.substr(equals + 1);
    const auto [before, is_first] = given_.emplace(name, value);
    if (!is_first && !may_be_repeated(*option)) {
      refuse("{} is given twice, with '{}' and '{}'; give it once", name, before->second, value);
    }
    result_.push_back(name);
    result_.push_back(checked_value(*option, name, value));
  }

  std::string next_value(const CLI::Option& option, const std::string& name) {
    const std::string type = type_of(option);
    if (place_ == words_.size()) refuse("{} needs a value; write {} behind it", name, type);
    const std::string& value = words_[place_];
    if (is_flag(value) && has_flag(command_, value.substr(0, value.find('=')))) {
      refuse("{} needs a value, but the flag {} comes behind it; write {} between them", name, value, type);
    }
    ++place_;
    return value;
  }

  void positional(const std::string& word) {
    const bool one_of_several = last_ != nullptr && last_->get_items_expected_max() > 1;
    const auto options = command_.get_options([](const CLI::Option* option) { return option->get_positional(); });
    if (options.empty() && !one_of_several) {
      const bool takes_text = has_flag(command_, "--data");
      refuse("'{}' stands behind no flag{} (see gpt {} --help)", word,
             takes_text ? fmt::format("; for a text to learn from write --data {}", word) : "", command_.get_name());
    }
    if (!one_of_several && ++positionals_ > options.size()) {
      refuse("'{}' is one argument too many; {} was named already (see gpt {} --help)", word,
             options.front()->get_name(), command_.get_name());
    }
    result_.push_back(one_of_several ? word : checked_value(*options.front(), options.front()->get_name(), word));
  }

  const CLI::App& app_;
  const CLI::App& command_;
  std::span<const std::string> words_;
  std::size_t place_ = 0, positionals_ = 0;
  const CLI::Option* last_ = nullptr;         // the flag before
  std::map<std::string, std::string> given_;  // the first value of each flag
  std::vector<std::string> result_;
};

}  // namespace

void require_range(const std::string& flag, gradus::Index value, gradus::Index low, gradus::Index high) {
  require(value >= low && value <= high, "{} is {}, it must be from {} to {}", flag, value, low, high);
}

// CLI11 would put words of its own around a message.
CLI::Validator range(const std::string& flag, gradus::Index low, gradus::Index high) {
  const auto check = [=](const std::string& text) -> std::string {
    gradus::Index number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);  // checked_arguments() let numbers alone pass
    require_range(flag, number, low, high);
    return {};
  };
  return CLI::Validator(check, "");
}

CLI::Validator one_of(std::vector<std::string> names) {
  const auto check = [names = std::move(names)](const std::string& text) -> std::string {
    if (std::ranges::find(names, text) != names.end()) return {};
    return not_one_of(text, names);
  };
  return CLI::Validator(check, "");
}

std::vector<std::string> checked_arguments(const CLI::App& app, const std::vector<std::string>& arguments) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  if (arguments.empty()) refuse("name a command: {} (see gpt --help)", fmt::join(names, ", "));
  const std::string& first = arguments.front();
  const auto found = std::ranges::find(commands, first, &CLI::App::get_name);
  if (found != commands.end()) {
    std::vector<std::string> result = Walk(app, **found, std::span(arguments).subspan(1)).run();
    result.insert(result.begin(), first);
    return result;
  }
  if (has_flag(app, first)) return arguments;  // --help, --version
  if (first == "help" && arguments.size() == 1) return {"--help"};
  if (first == "help") return checked_arguments(app, {arguments[1], "--help"});
  if (is_flag(first)) {
    const auto meant = nearest(first, flags_of(app));
    if (meant) refuse("there is no flag {}; did you mean {}?", first, *meant);
    refuse("{} stands before any command; name that first: {} (see gpt --help)", first, fmt::join(names, ", "));
  }
  if (arguments.size() > 1 && std::ranges::find(names, arguments[1]) != names.end()) {
    refuse("'{}' stands before the command; write gpt {} {}", first, arguments[1], first);
  }
  const auto meant = nearest(first, names);
  refuse("there is no command '{}'; {}the commands are {}", first,
         meant ? fmt::format("did you mean {}? ", *meant) : "", fmt::join(names, ", "));
}

}  // namespace gpt
