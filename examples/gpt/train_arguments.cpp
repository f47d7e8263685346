// One list names every setting; reading, writing and comparing settings walk through it.
#include "train_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>

#include <gradus/core/runtime/parallel.h>
#include <gradus/models/detail/json.h>

#include "commands.h"
#include "suggest.h"

namespace gpt {
namespace {

using gradus::Index;
using gradus::models::detail::Json;
using gradus::models::detail::JsonReader;
using gradus::optim::Schedule;

constexpr Index most_samples = 1'000'000;
constexpr const char* schedule_names[] = {"constant", "linear", "cosine"};  // by Schedule::Kind

template <class Arguments, class F>
void each_setting(Arguments& a, const F& f) {
  f("preset", a.preset);
  f("data", a.sources);
  f("format", a.format);
  f("keep-space", a.keep_space);
  f("held-out", a.held_out);
  f("held-out-share", a.held_out_share);
  f("unknown", a.unknown);
  f("init-from", a.init_from);
  f("steps", a.steps);
  f("seconds", a.seconds);
  f("tokens", a.tokens);
  f("epochs", a.epochs);
  f("layers", a.layers);
  f("width", a.width);
  f("heads", a.heads);
  f("context", a.context);
  f("dropout", a.dropout);
  f("batch", a.batch);
  f("accumulation", a.accumulation);
  f("lr", a.lr);
  f("min-lr", a.min_lr);
  f("warmup", a.warmup);
  f("schedule", a.schedule);
  f("weight-decay", a.weight_decay);
  f("beta1", a.beta1);
  f("beta2", a.beta2);
  f("clip", a.clip);
  f("label-smoothing", a.label_smoothing);
  f("eval-every", a.eval_every);
  f("eval-batches", a.eval_batches);
  f("patience", a.patience);
  f("save-every", a.save_every);
  f("keep", a.keep);
  f("samples", a.samples);
  f("temperature", a.temperature);
  f("seed", a.seed);
  f("dtype", a.dtype);
}

// Takes `given` where it was said, and says it.
template <class T, class U>
void settle(Given<T>& given, U& value) {
  value = static_cast<U>(given.value_or(static_cast<T>(value)));
  given = static_cast<T>(value);
}

void check_one_of(const char* flag, const std::string& value, const std::vector<std::string>& known) {
  require(std::ranges::find(known, value) != known.end(), "{}: {}", flag, not_one_of(value, known));
}

Schedule::Kind schedule_kind(const std::string& name) {
  const auto found = std::ranges::find(schedule_names, name);
  check_one_of("--schedule", name, {std::begin(schedule_names), std::end(schedule_names)});
  return static_cast<Schedule::Kind>(found - std::begin(schedule_names));
}

// A name that is no setting's but near one is a slip; what is near none, the reader of the JSON refuses.
void check_names(const Json& object, const std::string& name) {
  std::vector<std::string> known{"out", "threads", "quiet"};
  each_setting(*std::make_unique<TrainArguments>(), [&](const char* key, const auto&) { known.emplace_back(key); });
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    const auto meant = nearest(key, known);
    gradus::check(!meant, "{}: there is no field \"{}\"; did you mean \"{}\"?", name, key, meant.value_or(""));
  }
}

void check_at_least_0(const char* flag, double value, const char* meaning = "") {
  require(std::isfinite(value) && value >= 0, "{} is {}, it must be at least 0{}", flag, value, meaning);
}

void check_part(const char* flag, double value) {
  require(value >= 0 && value < 1, "{} is {}, it must be at least 0 and below 1", flag, value);
}

// The library checks all of this too, under its own names; a user knows those of the flags.
void check_recipe(const Preset& plan) {
  const gradus::models::TrainOptions& train = plan.train;
  constexpr Index most = 1'000'000'000'000, most_sequences = 1 << 20;
  require_range("--steps", train.steps, 0, most);
  check_at_least_0("--seconds", train.seconds, " (0: no limit)");
  require_range("--tokens", train.tokens, 0, std::numeric_limits<Index>::max());
  require(plan.epochs >= 0 && plan.epochs < 1e9, "--epochs is {}, it must be from 0 (no limit) to 1e9", plan.epochs);
  require(train.steps > 0 || train.seconds > 0 || train.tokens > 0 || plan.epochs > 0,
          "the training would never end; give one of --seconds, --steps, --tokens and --epochs a value above 0");
  require_range("--batch", train.batch_size, 1, most_sequences);
  require_range("--accumulation", train.accumulation, 1, most_sequences);
  require(std::isfinite(train.lr) && train.lr > 0, "--lr, the learning rate, is {}, it must be a number above 0",
          train.lr);
  const bool decays = train.schedule != Schedule::constant;
  require(train.min_lr >= 0 && std::isfinite(train.min_lr) && (!decays || train.min_lr <= train.lr),
          "--min-lr is {}, it must be from 0 to --lr, {}", train.min_lr, train.lr);
  require(train.warmup >= 0 && (train.steps == 0 || train.warmup <= train.steps),
          "--warmup is {} of {} steps; shorten the warm-up, or train longer", train.warmup, train.steps);
  check_at_least_0("--weight-decay", train.weight_decay);
  check_part("--beta1", train.beta1);
  check_part("--beta2", train.beta2);
  check_at_least_0("--clip", train.clip, " (0: no limit)");
  check_part("--label-smoothing", train.label_smoothing);
  check_at_least_0("--temperature", plan.temperature, " (0 always takes the likeliest character)");
}

void check_rest(const TrainArguments& a) {
  constexpr Index most = 1'000'000'000'000;
  require_range("--samples", *a.samples, 0, most_samples);
  require(*a.seed <= static_cast<std::uint64_t>(most_seed), "--seed is {}, it must be from 0 to {}", *a.seed,
          most_seed);
  require_range("--eval-every", *a.eval_every, 0, most);
  if (a.eval_batches) require_range("--eval-batches", *a.eval_batches, 0, most);
  require_range("--patience", *a.patience, 0, most);
  require_range("--save-every", *a.save_every, 0, most);
  require_range("--keep", *a.keep, 1, most);
  if (a.threads) require_range("--threads", *a.threads, 1, gradus::max_threads);
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

}  // namespace

void check_sizes(const gradus::models::GPTConfig& model) {
  require_range("--layers", model.n_layer, 1, 10'000);
  require_range("--width", model.n_embd, 1, Index{1} << 20);
  require_range("--heads", model.n_head, 1, model.n_embd);
  require_range("--context", model.block_size, 1, Index{1} << 24);
  check_part("--dropout", model.dropout);
  constexpr Index most = 100'000'000'000;
  require(model.num_parameters() <= most, "--layers, --width and --context make {} parameters; use smaller ones",
          model.num_parameters());
  if (model.n_embd % model.n_head == 0) return;
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
  const auto take_setting = [&]<class T>(const char* key, Given<T>& value) {
    const std::string_view text = key;
    const bool is_budget = text == "steps" || text == "seconds" || text == "tokens" || text == "epochs";
    const bool is_split = text == "held-out" || text == "held-out-share";
    Given<T> aside;  // a budget on the command line stands for all of them, and so does what is held out
    take(key, (is_budget && budget_given) || (is_split && split_given) ? aside : value);
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
  const auto fixed = [](const char* name, const auto& now, const auto& then) {
    gradus::check(
        !now || now == then,
        "--{} cannot change when a run is resumed; leave it out, or start a new run, e.g. from the model with "
        "--init-from",
        name);
  };
  fixed("preset", preset, stored.preset);
  fixed("format", format, stored.format);
  fixed("keep-space", keep_space, stored.keep_space);
  fixed("held-out-share", held_out_share, stored.held_out_share);
  fixed("unknown", unknown, stored.unknown);
  fixed("layers", layers, stored.layers);
  fixed("width", width, stored.width);
  fixed("heads", heads, stored.heads);
  fixed("context", context, stored.context);
  fixed("dropout", dropout, stored.dropout);
  fixed("dtype", dtype, stored.dtype);
  fixed("seed", seed, stored.seed);
  // What belongs to a value that changes now changes with it, unless it was said too.
  if (lr && stored.lr && stored.min_lr && !min_lr) min_lr = *stored.min_lr * (*lr / *stored.lr);
  if (steps && stored.warmup && !warmup) warmup = std::min(*stored.warmup, *steps);
  fill_from(settings, "the settings of the run");
}

void TrainArguments::adopt(const gradus::models::GPTConfig& model, bool documents) {
  const auto take = [](const char* name, Given<Index>& now, Index value) {
    gradus::check(!now || *now == value, "--{} is {}, but the weights are of a model with {}; leave it out", name,
                  now.value_or(0), value);
    now = value;
  };
  take("layers", layers, model.n_layer);
  take("width", width, model.n_embd);
  take("heads", heads, model.n_head);
  gradus::check(!context || *context <= model.block_size,
                "--context is {}, but the weights are of a model with {}; use that or less", context.value_or(0),
                model.block_size);
  if (!context) context = model.block_size;
  if (!dropout) dropout = model.dropout;
  if (!format) format = documents ? "lines" : "text";
}

Preset TrainArguments::resolve() {
  if (!preset) preset = "names";
  check_one_of("--preset", *preset, preset_names());
  Preset plan = find_preset(*preset);
  gradus::models::TrainOptions& train = plan.train;
  gradus::models::GPTConfig& model = plan.model;
  if (!format) format = plan.documents ? "lines" : "text";
  check_one_of("--format", *format, {"lines", "text"});
  plan.documents = *format == "lines";
  if (!keep_space) keep_space = false;
  if (!unknown) unknown = "refuse";
  check_one_of("--unknown", *unknown, {"refuse", "skip", "replace", "add"});
  if (!held_out && !held_out_share) held_out_share = 0.1;
  if (held_out_share) {
    require(*held_out_share > 0 && *held_out_share < 1,
            "--held-out-share is {}, it must be above 0 and below 1, e.g. 0.1 for a tenth", *held_out_share);
  }
  if (!dtype) dtype = "f32";
  check_one_of("--dtype", *dtype, {"f32", "f64"});

  if (steps || seconds || tokens || epochs) train.steps = 0, train.seconds = 0, plan.epochs = 0;
  const auto budget = []<class T, class U>(Given<T>& given, U& value) {
    if (given) value = static_cast<U>(*given);
    if (value != 0) given = static_cast<T>(value);
  };
  budget(steps, train.steps);
  budget(seconds, train.seconds);
  budget(tokens, train.tokens);
  budget(epochs, plan.epochs);
  if (lr) train.min_lr *= *lr / train.lr;  // the decay keeps its shape
  settle(lr, train.lr);
  settle(min_lr, train.min_lr);
  if (train.steps > 0) train.warmup = std::min(train.warmup, train.steps / most_warmup);
  settle(warmup, train.warmup);
  if (!schedule) schedule = schedule_names[train.schedule];
  train.schedule = schedule_kind(*schedule);
  settle(batch, train.batch_size);
  settle(accumulation, train.accumulation);
  settle(weight_decay, train.weight_decay);
  settle(beta1, train.beta1);
  settle(beta2, train.beta2);
  settle(clip, train.clip);
  settle(label_smoothing, train.label_smoothing);
  settle(layers, model.n_layer);
  settle(width, model.n_embd);
  settle(heads, model.n_head);
  settle(context, model.block_size);
  settle(dropout, model.dropout);
  settle(temperature, plan.temperature);

  if (!seed) seed = 42;
  if (!samples) samples = 20;
  if (!eval_every) eval_every = 0;
  if (!patience) patience = 0;
  if (!save_every) save_every = 0;
  if (!keep) keep = 2;
  check_sizes(model);
  check_recipe(plan);
  check_rest(*this);
  return plan;
}

std::string TrainArguments::to_json() const {
  Json json = Json::object();
  each_setting(*this, [&](const char* name, const auto& value) {
    if (value) json[name] = *value;
  });
  for (const char* name : {"data", "held-out"}) {
    if (json.contains(name) && json[name].size() == 1) json[name] = Json(json[name].front());
  }
  return gradus::models::detail::dump(json);
}

namespace {

constexpr const char* what = "What to learn";

struct Adder {
  template <class T>
  CLI::Option* operator()(const char* name, T& value, const char* help, const char* type, const char* group) const {
    return command.add_option(name, value, help)->type_name(type)->group(group);
  }
  CLI::App& command;
};

void add_texts(CLI::App& command, const char* name, Given<std::vector<std::string>>& value, const char* help) {
  command
      .add_option_function<std::vector<std::string>>(
          name, [&value](const std::vector<std::string>& all) { value = all; }, help)
      ->type_name("FILE")
      ->group(what)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_data(const Adder& option, TrainArguments& a) {
  std::string presets_help = "The recipe that the other options change (default: names):";
  for (const Preset& preset : presets()) presets_help += fmt::format("\n{} - {}", preset.name, preset.summary);
  option("--preset", a.preset, presets_help.c_str(), "NAME", what)->check(one_of(preset_names()));
  add_texts(option.command, "--data", a.sources,
            "UTF-8 text to learn from: a file, a folder (all files in it), - for standard input, or bundled:names, "
            "bundled:korean_names. Given more than once, the texts follow one another");
  option("--format", a.format,
         "lines: each line is a document; text: running text (default: that of the weights of --init-from, or the "
         "preset's)",
         "lines|text", what)
      ->check(one_of({"lines", "text"}));
  option.command
      .add_flag_callback(
          "--keep-space", [&a] { a.keep_space = true; },
          "Lines are documents with the white space at their ends; without this it is dropped")
      ->group(what);
  add_texts(option.command, "--held-out", a.held_out, "Text to judge by; then all of the data is trained on");
  option("--held-out-share", a.held_out_share,
         "Part of the data to judge by: of the different lines at random, of running text the end (default: 0.1)", "X",
         what);
  option("--unknown", a.unknown,
         "Only with --init-from: what becomes of characters of the data that its weights do not know: refuse the data "
         "(default), skip the characters, replace them by '?', or add them to the model",
         "refuse|skip|replace|add", what)
      ->check(one_of({"refuse", "skip", "replace", "add"}));
}

void add_places(const Adder& option, TrainArguments& a) {
  option("--init-from", a.init_from,
         "Begin with these weights; their vocabulary, sizes and format are kept where the file tells them. A smaller "
         "--context cuts the model's",
         "model.safetensors", what);
  option("--config", a.config, "JSON with the names of these options, without dashes; flags win", "FILE", what);
  option("--resume", a.resume,
         "Go on with the run in DIR where its last checkpoint is, or from one of DIR/checkpoints. Its settings hold; "
         "only budgets, recipe and judging may be changed by flags",
         "DIR", what);
  option(
      "--out", a.out,
      "Folder for the model (default: runs/ and the name of FILE or of the preset, and -2, -3, .. if a run is there)",
      "DIR", what);
  option.command.add_flag("--overwrite", a.overwrite, "Replace the run that DIR of --out holds")->group(what);
}

void add_budget(const Adder& option, TrainArguments& a) {
  constexpr const char* budget = "How long: whichever ends first";
  option("--seconds", a.seconds, "Seconds, of steps and measuring; time in which it is stopped does not count", "S",
         budget);
  option("--steps", a.steps, "Steps", "N", budget);
  option("--tokens", a.tokens, "Characters seen, those seen again included", "N", budget);
  option("--epochs", a.epochs, "Times through the data", "X", budget);
  option("--patience", a.patience, "Stop after N measurements of the held-out loss without a new best; 0: never", "N",
         budget);
}

void add_size(const Adder& option, TrainArguments& a) {
  constexpr const char* size = "Model";
  option("--layers", a.layers, "Transformer blocks", "N", size);
  option("--width", a.width, "Numbers that stand for a character; a multiple of --heads", "N", size);
  option("--heads", a.heads, "Attention heads", "N", size);
  option("--context", a.context, "Characters that the model looks back on", "N", size);
  option("--dropout", a.dropout, "Part of the activations dropped while training", "P", size);
}

void add_recipe(const Adder& option, TrainArguments& a) {
  constexpr const char* recipe = "Recipe";
  option("--batch", a.batch, "Documents or windows a batch", "N", recipe);
  option("--accumulation", a.accumulation, "Batches a step; each weighs by its characters", "N", recipe);
  option("--lr", a.lr, "Learning rate after the warm-up", "X", recipe);
  option("--min-lr", a.min_lr, "Learning rate at the end of the decay", "X", recipe);
  option("--warmup", a.warmup,
         "Steps in which the learning rate rises; where the budget is time or characters, at most a tenth of it", "N",
         recipe);
  option("--schedule", a.schedule, "How the learning rate decays", "constant|linear|cosine", recipe)
      ->check(one_of({"constant", "linear", "cosine"}));
  option("--weight-decay", a.weight_decay, "AdamW's decay of matrices", "X", recipe);
  option("--beta1", a.beta1, "AdamW's memory of gradients", "X", recipe);
  option("--beta2", a.beta2, "AdamW's memory of their squares", "X", recipe);
  option("--clip", a.clip, "Largest norm of all gradients; 0: no limit", "X", recipe);
  option("--label-smoothing", a.label_smoothing,
         "Part of the target spread evenly over all characters; counts in the training loss, not in the held-out loss",
         "P", recipe);
}

void add_keeping(const Adder& option, TrainArguments& a) {
  constexpr const char* keeping = "Judging and keeping";
  option("--eval-every", a.eval_every, "Steps between measurements of the held-out loss; 0: ten in the run", "N",
         keeping);
  option("--eval-batches", a.eval_batches,
         "Measure on N batches spread over the held-out part; 0: on all of it (default: all of it up to 131,072 "
         "characters). Where the budget is in seconds, it takes no longer than a quarter of it (default: a fiftieth)",
         "N", keeping);
  option("--save-every", a.save_every,
         "Steps between checkpoints; 0: every 30 seconds. One more at each new best and at the end", "N", keeping);
  option("--keep", a.keep, "Checkpoints to keep, the last one and those of new bests included (default: 2)", "N",
         keeping);
}

void add_rest(const Adder& option, TrainArguments& a) {
  constexpr const char* rest = "This run";
  option("--seed", a.seed, "Of the first weights, the held-out part and the order of the data (default: 42)", "N", rest)
      ->check(range("--seed", 0, most_seed));
  option("--dtype", a.dtype, "Numbers of 32 or 64 bits", "f32|f64", rest)->check(one_of({"f32", "f64"}));
  option("--threads", a.threads, "Threads to compute with (default: all cores). Results do not depend on it", "N",
         rest);
  option("--samples", a.samples, "Samples to show at the end (default: 20)", "N", rest);
  option("--temperature", a.temperature, "Of the samples", "X", rest);
  option.command.add_flag("--quiet", a.quiet, "Print only the held-out loss at the end")->group(rest);
}

}  // namespace

void add_train_options(CLI::App& command, TrainArguments& arguments) {
  const Adder option{command};
  for (const auto add : {add_data, add_places, add_budget, add_size, add_recipe, add_keeping, add_rest}) {
    add(option, arguments);
  }
}

}  // namespace gpt
