// train_settings.def lists every setting; reading, writing, checking, comparing and explaining settings walk through
// it.
#include "train_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <type_traits>

#include <gradus/core/runtime/parallel.h>
#include <gradus/models/detail/json.h>
#include <gradus/models/detail/setting_range.h>
#include <gradus/models/gpt/detail/config_fields.h>
#include <gradus/models/gpt/detail/config_names.h>
#include <gradus/models/train/detail/train_option_ranges.h>

#include "commands.h"
#include "suggest.h"
#include "view_serve.h"

namespace gpt {
namespace {

using gradus::Index;
using gradus::models::NormKind;
using gradus::models::detail::ConfigField;
using gradus::models::detail::Json;
using gradus::models::detail::JsonReader;
using gradus::models::detail::Range;
using gradus::nn::Activation;
using gradus::optim::Schedule;

constexpr double most_steps = 1e12;
constexpr const char *what = "What to learn", *how_long = "How long: whichever ends first", *size = "Model",
                     *recipe = "Recipe", *keeping = "Judging and keeping", *rest = "This run";

const std::vector<std::string>& schedule_names() {  // by Schedule::Kind
  static const std::vector<std::string> names{"constant", "linear", "cosine"};
  return names;
}

// What settings accept.
struct ItsRange {};
constexpr ItsRange its_range;
struct Anything {};
constexpr Anything anything;
using Words = std::vector<std::string>;
Words words(Words known) {
  return known;
}
template <class T>
Words names_of_all() {
  Words known;
  for (const auto& [value, name] : gradus::models::detail::names_of(T{})) known.emplace_back(name);
  return known;
}

// "0,0.5,0.25"
std::vector<double> numbers_of(const char* flag, const std::string& list) {
  std::vector<double> numbers;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    double number = 0;
    const auto [stop, error] = std::from_chars(list.data() + begin, list.data() + end, number);
    require(error == std::errc() && stop == list.data() + end && std::isfinite(number),
            "{} is '{}'; give numbers with commas between them, e.g. 0,0.5,0.25", flag, list);
    numbers.push_back(number);
    begin = end + 1;
  }
  return numbers;
}

// When a run is resumed.
constexpr bool fixed = true, changes = false;

// A setting as the list has it, but for its member and its place in the plan.
struct Setting {
  const char* name;
  bool fixed;
  const char *group, *value, *help;
};

template <class Arguments, class F>
void each_setting(Arguments& a, const F& f) {
#define SETTING(type, member, name, settled, accepts, on_resume, group, value, help) \
  f(a.member, Setting{name, on_resume, group, value, help});
#include "train_settings.def"
#undef SETTING
}

// What becomes of a setting: `given` gets the value that holds, and so does its place in the plan.
template <class T>
struct Place {
  T& value;
};
template <class T>
Place<T> of_plan(T& value) {
  return {value};
}
template <class T>
struct Budget {
  T& value;
};
template <class T>
Budget<T> budget(T& value) {
  return {value};
}
template <class T>
struct First {
  T value;
};
template <class T>
First<T> at_first(T value) {
  return {value};
}
struct Elsewhere {};
constexpr Elsewhere elsewhere;

template <class T, class U>
void settle(Given<T>& given, Place<U> place) {
  place.value = static_cast<U>(given.value_or(static_cast<T>(place.value)));
  given = static_cast<T>(place.value);
}
// A choice that has names in the files of models.
template <class T>
requires std::is_enum_v<T>
void settle(Given<Word>& given, Place<T> place) {
  for (const auto& [value, name] : gradus::models::detail::names_of(T{})) {
    if (!given && value == place.value) given = name;
    if (given == name) place.value = value;
  }
}
void settle(Given<Word>& given, Place<bool> place) {
  if (!given) given = place.value ? "on" : "off";
  place.value = given != "off";
}
void settle(Given<Word>& given, Place<std::vector<double>> place) {
  if (given) place.value = numbers_of("--activation-coefficients", *given);
}
void settle(Given<Word>& given, Place<Schedule::Kind> place) {
  if (!given) given = schedule_names()[place.value];
  const auto found = std::ranges::find(schedule_names(), *given);
  if (found != schedule_names().end()) place.value = static_cast<Schedule::Kind>(found - schedule_names().begin());
}
template <class T, class U>
void settle(Given<T>& given, Budget<U> place) {
  if (given) place.value = static_cast<U>(*given);
  if (place.value != 0) given = static_cast<T>(place.value);
}
template <class T, class U>
void settle(Given<T>& given, First<U> first) {
  if (!given) given = static_cast<T>(first.value);
}
template <class T>
void settle(Given<T>&, Elsewhere) {}

// What the library takes for a number of the plan.
template <class T>
Range range_of(const Preset& plan, const T& number) {
  std::optional<Range> range;
  const auto is_it = [&](const auto& member) { return static_cast<const void*>(&member) == &number; };
  gradus::models::detail::for_each_field(plan.model, [&]<class M>(const M& member, const ConfigField<M>& field) {
    if (is_it(member)) range = field.range;
  });
  gradus::models::detail::for_each_option(plan.train, [&](const auto& member, const char*, const Range& its) {
    if (is_it(member)) range = its;
  });
  gradus::check(range.has_value(), "a setting with its_range must be in config_fields.h or train_option_ranges.h");
  return *range;
}

template <class T>
void check_number(const std::string& flag, T value, const Range& range) {
  require(range.has(static_cast<double>(value)), "{} is {}, it must be {}", flag, value, range.text());
}
template <class T, class Settled>
void check_value(const Preset&, const std::string& flag, const Given<T>& given, const Settled&, const Range& range) {
  if (given) check_number(flag, *given, range);
}
template <class T, class Settled>
void check_value(const Preset& plan, const std::string& flag, const Given<T>& given, const Settled& settled, ItsRange) {
  check_value(plan, flag, given, settled, range_of(plan, settled.value));
}
template <class Settled>
void check_value(const Preset&, const std::string& flag, const Given<Word>& given, const Settled&, const Words& known) {
  if (!given) return;
  require(std::ranges::find(known, *given) != known.end(), "{}: {}", flag, not_one_of(*given, known));
}
template <class T, class Settled>
void check_value(const Preset&, const std::string&, const Given<T>&, const Settled&, Anything) {}

template <class T>
Word word_of(T value) {
  Given<Word> word;
  settle(word, Place<T>{value});
  return *word;
}

// A name that is no setting's but near one is a slip; what is near none, the reader of the JSON refuses.
void check_names(const Json& object, const std::string& name) {
  std::vector<std::string> known{"out", "threads", "quiet"};
  each_setting(*std::make_unique<TrainArguments>(),
               [&](const auto&, const Setting& setting) { known.emplace_back(setting.name); });
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    const auto meant = nearest(key, known);
    gradus::check(!meant, "{}: unknown field \"{}\"; did you mean \"{}\"?", name, key, meant.value_or(""));
  }
}

// What numbers are to each other. The library checks it too, under its own names; a user knows those of the flags.
void check_recipe(const Preset& plan) {
  const gradus::models::TrainOptions& train = plan.train;
  require(train.steps > 0 || train.seconds > 0 || train.tokens > 0 || plan.epochs > 0,
          "the training would never end; give one of --seconds, --steps, --tokens and --epochs a value above 0");
  require(train.schedule == Schedule::constant || train.min_lr <= train.lr,
          "--min-lr is {}, it must be from 0 to --lr, {}", train.min_lr, train.lr);
  require(train.steps == 0 || train.warmup <= train.steps,
          "--warmup is {} and --steps {}; shorten the warm-up, or train longer", train.warmup, train.steps);
}

// One text, or a list of them.
std::vector<std::string> texts(const Json& json, const char* key, const std::string& name) {
  std::vector<std::string> all;
  for (const Json& entry : json.is_array() ? json : Json::array({json})) {
    gradus::check(entry.is_string(), "{}: \"{}\" is {}, a text or a list of texts is needed", name, key,
                  gradus::models::detail::dump(json));
    gradus::check(entry != "", "{}: \"{}\" is empty; write a value, or leave it out", name, key);
    all.push_back(entry.get<std::string>());
  }
  gradus::check(!all.empty(), "{}: \"{}\" is empty, a text is needed", name, key);
  return all;
}

// A size of the model, under the name of its flag.
template <class Settled>
void check_size(const Preset&, const char*, const Settled&) {}
template <class T>
requires std::is_arithmetic_v<T>
void check_size(const Preset& plan, const char* flag, const Place<T>& place) {
  const char* const begin = reinterpret_cast<const char*>(&plan.model);
  const char* const there = reinterpret_cast<const char*>(&place.value);
  if (there >= begin && there < begin + sizeof plan.model) check_number(flag, place.value, range_of(plan, place.value));
}

}  // namespace

void check_sizes(const gradus::models::GPTConfig& model) {
  Preset plan = presets().front();
  plan.model = model;
#define SETTING(type, member, name, settled, ...) check_size(plan, "--" name, settled);
#include "train_settings.def"
#undef SETTING
  if (model.head_size == 0) check_number("--heads", model.n_head, {1, static_cast<double>(model.n_embd)});
  constexpr Index most = 100'000'000'000;
  require(model.num_parameters() <= most, "--layers, --width and --context make {} parameters; use smaller ones",
          model.num_parameters());
  if (model.head_size != 0 || model.n_embd % model.n_head == 0) return;
  Index fits = model.n_head;
  while (model.n_embd % fits != 0) --fits;
  throw UsageError(fmt::format(
      "--width {} cannot be split evenly among {} heads; use --heads {}, or a width that is a multiple of {}",
      model.n_embd, model.n_head, fits, model.n_head));
}

void TrainArguments::fill_from(const std::string& json, const std::string& name) {
  Json object = gradus::models::detail::parse_json(json, name);
  // The config.json of a run folder has the settings of its training in it.
  if (object.contains("train") && object.contains("model")) object = Json(object["train"]);
  check_names(object, name);
  JsonReader reader(object, name);
  const auto take = [&]<class T>(const char* key, Given<T>& value) {
    if (!object.contains(key)) return;
    T said;
    if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      said = texts(reader.field(key), key, name);
    } else {
      said = reader.get<T>(key);
    }
    if constexpr (std::is_same_v<T, std::string>) {
      gradus::check(!said.empty(), "{}: \"{}\" is empty; write a value, or leave it out", name, key);
    }
    if (!value) value = said;
  };
  const bool budget_given = steps || seconds || tokens || epochs;
  const bool split_given = held_out || held_out_share;
  const auto take_setting = [&]<class T>(Given<T>& value, const Setting& setting) {
    const std::string_view text = setting.name;
    const bool is_budget = text == "steps" || text == "seconds" || text == "tokens" || text == "epochs";
    const bool is_split = text == "held-out" || text == "held-out-share";
    Given<T> aside;  // a budget on the command line stands for all of them, and so does what is held out
    take(setting.name, (is_budget && budget_given) || (is_split && split_given) ? aside : value);
  };
  each_setting(*this, take_setting);
  take("out", out);
  take("threads", threads);
  Given<bool> silent;
  take("quiet", silent);
  quiet = quiet || silent.value_or(false);
  reader.finish();
}

void TrainArguments::resume_from(const std::string& settings) {
  TrainArguments stored;
  stored.fill_from(settings, "the settings of the run");
  const auto check_same = [](const char* name, const auto& now, const auto& then) {
    gradus::check(
        !now || now == then,
        "--{} cannot change when a run is resumed; leave it out, or start a new run, e.g. from the model with "
        "--init-from",
        name);
  };
#define SETTING(type, member, name, settled, accepts, on_resume, ...) \
  if (on_resume) check_same(name, member, stored.member);
#include "train_settings.def"
#undef SETTING
  // What belongs to a value that changes now changes with it, unless it was said too.
  if (lr && stored.lr && stored.min_lr && !min_lr) min_lr = *stored.min_lr * (*lr / *stored.lr);
  if (steps && stored.warmup && !warmup) warmup = std::min(*stored.warmup, *steps);
  fill_from(settings, "the settings of the run");
}

void TrainArguments::adopt(const gradus::models::GPTConfig& model, gradus::models::TextFormat text) {
  const auto take = [](const char* name, Given<Index>& now, Index value) {
    gradus::check(!now || *now == value, "--{} is {}, but the weights are of a model with {}; leave it out", name,
                  now.value_or(0), value);
    now = value;
  };
  take("layers", layers, model.n_layer);
  take("width", width, model.n_embd);
  take("heads", heads, model.n_head);
  take("head-size", head_size, model.head_size);
  const auto take_word = [](const char* name, Given<Word>& now, const Word& value) {
    gradus::check(!now || *now == value, "--{} is {}, but the weights are of a model with {}; leave it out", name,
                  now.value_or(""), value.empty() ? "none" : value);
    if (!value.empty()) now = value;
  };
  take_word("norm", norm, word_of(model.norm));
  take_word("residual", residual, model.residual ? "on" : "off");
  take_word("activation", activation, word_of(model.activation));
  take_word("activation-coefficients", activation_coefficients,
            fmt::format("{}", fmt::join(model.activation_coefficients, ",")));
  gradus::check(!context || *context <= model.block_size,
                "--context is {}, but the weights are of a model with {}; use that or less", context.value_or(0),
                model.block_size);
  if (!context) context = model.block_size;
  if (!dropout) dropout = model.dropout;
  if (!checkpoint_activations) checkpoint_activations = model.checkpoint_activations;
  if (!format) format = name_of(text);
}

Preset TrainArguments::resolve() {
  if (!preset) preset = "names";
  check_value({}, "--preset", preset, elsewhere, preset_names());
  Preset plan = find_preset(*preset);
  if (!format) format = name_of(plan.format);
  if (const auto known = gradus::models::text_format(*format)) plan.format = *known;  // the list refuses others
  if (!held_out && !held_out_share) held_out_share = 0.1;
  if (steps || seconds || tokens || epochs) plan.train.steps = 0, plan.train.seconds = 0, plan.epochs = 0;
  if (lr) plan.train.min_lr *= *lr / plan.train.lr;  // the decay keeps its shape
  if (activation_coefficients && !activation) activation = "polynomial";
  const Index limit = steps.value_or(plan.train.steps);
  if (limit > 0) plan.train.warmup = std::min(plan.train.warmup, limit / most_warmup);
#define SETTING(type, member, name, settled, accepts, ...) \
  settle(member, settled);                                 \
  check_value(plan, "--" name, member, settled, accepts);
#include "train_settings.def"
#undef SETTING
  require((plan.model.activation == Activation::polynomial) == activation_coefficients.has_value(),
          "--activation polynomial and --activation-coefficients come together; {}",
          activation_coefficients ? "leave one out" : "give its coefficients, e.g. 0,0.5,0.25");
  check_sizes(plan.model);
  check_recipe(plan);
  if (threads) require_range("--threads", *threads, 1, gradus::max_threads);
  return plan;
}

std::string TrainArguments::to_json() const {
  Json json = Json::object();
  each_setting(*this, [&](const auto& value, const Setting& setting) {
    if (value) json[setting.name] = *value;
  });
  for (const char* name : {"data", "held-out"}) {
    if (json.contains(name) && json[name].size() == 1) json[name] = Json(json[name].front());
  }
  return gradus::models::detail::dump(json);
}

namespace {

// " (default: 42)"
template <class Settled>
std::string told_default(const Settled&) {
  return {};
}
template <class T>
std::string told_default(const First<T>& first) {
  return std::is_same_v<T, bool> ? "" : fmt::format(" (default: {})", first.value);
}

template <class T>
CLI::Option& add(CLI::App& command, Given<T>& value, const std::string& flag, const std::string& help) {
  return *command.add_option(flag, value, help);
}
CLI::Option& add(CLI::App& command, Given<Seed>& value, const std::string& flag, const std::string& help) {
  return *command.add_option(flag, value, help)->check(range(flag, 0, most_seed));
}
CLI::Option& add(CLI::App& command, Given<bool>& value, const std::string& flag, const std::string& help) {
  return *command.add_flag_callback(
      flag, [&value] { value = true; }, help);
}
CLI::Option& add(CLI::App& command, Given<Texts>& value, const std::string& flag, const std::string& help) {
  return *command
              .add_option_function<Texts>(
                  flag, [&value](const Texts& all) { value = all; }, help)
              ->allow_extra_args(false)
              ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_check(CLI::Option& option, const Words& known) {
  option.check(one_of(known));
}
template <class Accepts>
void add_check(CLI::Option&, const Accepts&) {}

template <class T, class Accepts>
void add_setting(CLI::App& command, Given<T>& value, const Setting& setting, const std::string& told,
                 const Accepts& accepts) {
  CLI::Option& option = add(command, value, fmt::format("--{}", setting.name), setting.help + told);
  option.group(setting.group);
  if (!std::is_same_v<T, bool>) option.type_name(setting.value);
  add_check(option, accepts);
}

// How this call is made.
void add_rest(CLI::App& command, TrainArguments& a) {
  const auto option = [&](const char* name, auto& value, const char* help, const char* type, const char* group) {
    command.add_option(name, value, help)->type_name(type)->group(group);
  };
  option("--config", a.config, "JSON with the names of these options, without dashes; flags win", "FILE", what);
  option("--resume", a.resume,
         "Go on with the run in DIR where its last checkpoint is, or from one of DIR/checkpoints. Its settings hold; "
         "only budgets, recipe and judging may be changed by flags",
         "DIR", what);
  option(
      "--out", a.out,
      "Folder for the model (default: runs/ and the name of FILE or of the preset, and -2, -3, .. if a run is there)",
      "DIR", what);
  command.add_flag("--overwrite", a.overwrite, "Replace the run that DIR of --out holds")->group(what);
  option("--threads", a.threads, "Threads to compute with (default: all cores). Results do not depend on it", "N",
         rest);
  command
      .add_option("--view", a.view,
                  fmt::format("Show the training on a page of this machine, as gpt view --serve does, and leave it "
                              "until Ctrl-C (default: port {}; 0: any that is free)",
                              default_port))
      ->type_name(optional_number)
      ->default_str(std::to_string(default_port))
      ->check(range("--view", 0, 65535))
      ->group(rest);
  command.add_flag("--quiet", a.quiet, "Print only the held-out loss at the end")->group(rest);
}

}  // namespace

void add_train_options(CLI::App& command, TrainArguments& a) {
  Preset plan = presets().front();
#define SETTING(type, member, name, settled, accepts, on_resume, group, value, help) \
  add_setting(command, a.member, {name, on_resume, group, value, help}, told_default(settled), accepts);
#include "train_settings.def"
#undef SETTING
  std::string recipes = command.get_option("--preset")->get_description();
  for (const Preset& preset : presets()) recipes += fmt::format("\n{} - {}", preset.name, preset.summary);
  command.get_option("--preset")->description(recipes);
  add_rest(command, a);
}

}  // namespace gpt
