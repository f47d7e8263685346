// Where a training begins: with new weights, with those of a file, or with a checkpoint; and with which data.
#include "train_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>

#include <gradus/core/runtime/random.h>
#include <gradus/models/gpt/change_vocabulary.h>
#include <gradus/models/gpt/gpt2.h>
#include <gradus/models/text/text.h>
#include <gradus/nn/files/safetensors.h>

#include "commands.h"
#include "hints.h"
#include "model.h"
#include "numbers.h"
#include "run_text.h"
#include "tokenizer_choice.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;

// The texts of the run that is resumed, unless others are named.
void take_texts_of(const models::RunData& data, TrainArguments& arguments, Start& start) {
  gradus::check(!arguments.held_out || !data.held_out_sources.empty(),
                "--held-out cannot change when a run is resumed; leave it out, or start a new run, e.g. from the model "
                "with --init-from");
  start.data_named = arguments.sources.has_value();
  start.held_out_named = arguments.held_out.has_value();
  if (!arguments.sources) arguments.sources = data.sources();
  if (!arguments.held_out && !data.held_out_sources.empty()) arguments.held_out = data.held_out_sources;
}

models::Checkpoint checkpoint_to_resume(const std::string& named) {
  const fs::path path = fs::path(named).lexically_normal();
  const fs::path folder = (path.has_filename() ? path : path.parent_path()).parent_path();
  const bool is_in_run = fs::is_directory(path) && models::look_into(folder.empty() ? "." : folder).run;
  gradus::check(!is_in_run || models::look_into(path).run,
                "--resume is '{}', a folder in that of a run; to resume from its last checkpoint: --resume {}, or name "
                "the file of an older one",
                named, shell_word(folder.empty() ? "." : folder.native()));
  try {
    return models::load_checkpoint(named);
  } catch (const gradus::Error& problem) {
    const bool is_file = fs::is_regular_file(named) && !models::look_into(models::run_folder_of(named)).run;
    gradus::fail("--resume: {}{}", told(problem), is_file ? "; name the folder of a run" : "");
  }
}

void begin_with_checkpoint(TrainArguments& arguments, Start& start) {
  start.checkpoint = checkpoint_to_resume(*arguments.resume);
  start.config = start.checkpoint->model.config();
  start.tokenizer = start.checkpoint->tokenizer;
  take_texts_of(start.checkpoint->data, arguments, start);
  arguments.resume_from(start.checkpoint->settings);
  arguments.adopt(*start.config, start.checkpoint->data.format);
}

// A GPT-2. Its attention weights are dropped only if that was asked for, since it takes much memory.
void take_foreign_weights(TrainArguments& arguments, Start& start) {
  if (!arguments.preset) arguments.preset = "finetune";
  if (arguments.lora && !arguments.lr) arguments.lr = 3e-4;           // new numbers, of which there are few
  arguments.init_from = fs::absolute(*arguments.init_from).string();  // valid in any folder
  models::Run run = load_model(*arguments.init_from);
  start.config = run.model.config();
  if (!arguments.dropout) start.config->attn_dropout = 0;
  start.tokenizer = std::move(run.tokenizer);
  start.format = run.data.format;
  if (!arguments.dtype && run.model.dtype() == gradus::DType::f64) arguments.dtype = "f64";
  start.weights = std::move(run.model);
}

// The weights of --init-from, and what their file says of them.
void take_weights(TrainArguments& arguments, Start& start) {
  fs::path path = *arguments.init_from;
  if (models::is_gpt2(path)) return take_foreign_weights(arguments, start);
  gradus::check(!fs::is_directory(path), "'{}' is a folder; name a file of weights, such as '{}'", path.native(),
                (path / models::model_file).native());
  path = fs::absolute(path);
  arguments.init_from = path.string();  // valid in any folder
  const gradus::nn::Metadata metadata = gradus::nn::read_metadata(path);
  gradus::check(!metadata.contains("state"),
                "'{}' is the state of a training; begin with its weights: --init-from {}, or resume it: --resume",
                path.native(), shell_word((models::run_folder_of(path) / models::model_file).native()));
  if (!metadata.contains("config.json")) {
    require(arguments.unknown.value_or("refuse") == "refuse",
            "--unknown is {}, but '{}' does not say which characters its weights know; leave it out",
            arguments.unknown.value_or(""), path.native());
    return;
  }
  models::Run run = models::load_run(path.parent_path(), path.filename().c_str());
  start.config = run.model.config();
  start.tokenizer = run.tokenizer;
  if (!arguments.dtype && run.model.dtype() == gradus::DType::f64) arguments.dtype = "f64";
  start.format = run.data.format;
  start.weights = std::move(run.model);
}

void begin_with_weights(TrainArguments& arguments, Start& start) {
  try {
    take_weights(arguments, start);
  } catch (const UsageError&) {
    throw;
  } catch (const gradus::Error& problem) {
    gradus::fail("--init-from: {}", told(problem));
  }
  if (start.config) arguments.adopt(*start.config, start.format);
}

// What the data are to be, before they are read.
models::RunData wanted_data(const TrainArguments& arguments, const Start& start) {
  models::RunData info;
  if (start.checkpoint) {
    info = start.checkpoint->data;
  } else {
    info.format = *models::text_format(*arguments.format);
    info.seed = *arguments.seed;
    info.block_size = *arguments.context;
    info.held_out = arguments.held_out_share.value_or(info.held_out);
    info.keep_space = *arguments.keep_space;
    if (*arguments.unknown == "skip") info.unknown = models::Unknown::skip;
    if (*arguments.unknown == "replace") info.unknown = models::Unknown::replace;
  }
  const std::vector<std::string> sources = absolute(*arguments.sources);
  info.source = sources.front();
  info.more_sources.assign(std::next(sources.begin()), sources.end());
  if (arguments.held_out) info.held_out_sources = absolute(*arguments.held_out);
  return info;
}

// The tokenizer of the weights that training begins with, for documents or not, and with the data's characters if they
// are to be added. Throws Error where the data have others.
std::optional<models::AnyTokenizer> start_tokenizer(const TrainArguments& arguments, const Start& start,
                                                    const Text& text, const std::optional<Text>& held_out,
                                                    const models::RunData& info) {
  if (!start.tokenizer || start.checkpoint) return start.tokenizer;
  gradus::check(!arguments.tokenizer,
                "--tokenizer is '{}', but the weights of '{}' have learned their own tokens; leave it out",
                arguments.tokenizer.value_or(""), *arguments.init_from);
  const bool documents = info.format == models::TextFormat::lines;
  const auto* const characters = start.tokenizer->as<models::CharTokenizer>();
  if (characters == nullptr) return start.tokenizer->with_boundary(documents);  // of a kind that knows every text
  const models::CharTokenizer known(characters->characters(), documents);
  if (*arguments.unknown != "refuse" && *arguments.unknown != "add") return known;
  const models::CharTokenizer own = make_tokenizer(text, held_out, info.format, arguments.quiet);
  const models::CharTokenizer both(known.characters() + own.characters(), documents);
  if (*arguments.unknown == "add" || both == known) return both;
  std::u32string unknown;
  std::ranges::set_difference(own.characters(), known.characters(), std::back_inserter(unknown));
  constexpr std::size_t most = 20;
  std::string place = place_of_unknown(text, info, known);
  if (place.empty() && held_out) place = place_of_unknown(*held_out, info, known);
  gradus::fail(
      "'{}' has {} that the weights of '{}' do not know: {}{} (the first in {}); choose --unknown skip, replace "
      "or add",
      name_of(*arguments.sources), counted(std::ssize(unknown), "character"), *arguments.init_from,
      models::printable(models::encode_utf8(unknown.substr(0, most))), unknown.size() > most ? " .." : "", place);
}

// "--data a.txt --data b.txt"
std::string flags_of(const std::vector<std::string>& sources) {
  std::string words;
  for (const std::string& source : sources) words += " --data " + shell_word(source);
  return words.substr(1);
}

void check_is_same_text(const Text& text, const std::vector<std::string>& sources, bool named, const char* flag,
                        const std::string& run) {
  if (text.known) return;
  const std::string model = shell_word((models::run_folder_of(run) / models::model_file).native());
  const std::string anew =
      fmt::format("to train its weights on the other one: --init-from {} {}", model, flags_of(sources));
  gradus::check(!named, "'{}' is not the text that the run in '{}' {}, and a run keeps to one; {}", name_of(sources),
                run, std::string_view(flag) == data_flag ? "learns from" : "is evaluated on", anew);
  gradus::fail("'{}' has changed since the run in '{}' {}; name the text as it was with {}, or {}", name_of(sources),
               run, std::string_view(flag) == data_flag ? "learned from it" : "was evaluated on it", flag, anew);
}

// Without LoRAs.
models::GPT make_whole_model(const TrainArguments& arguments, const models::GPTConfig& config, Start& start,
                             const models::Tokenizer& tokenizer) {
  const gradus::DType dtype = *arguments.dtype == "f64" ? gradus::DType::f64 : gradus::DType::f32;
  gradus::manual_seed(*arguments.seed);
  const bool changes = start.weights && (start.tokenizer != tokenizer || config.block_size != start.config->block_size);
  if (changes) {
    start.weights->to(dtype);
    return models::adapt(*start.weights, *start.tokenizer, config, tokenizer);
  }
  models::GPT model(config);
  model.to(dtype);
  if (start.weights) {
    gradus::nn::load_state(model, {start.weights->named_state(), {}}, fmt::format("'{}'", *arguments.init_from));
  } else if (arguments.init_from) {
    gradus::nn::load_safetensors(*arguments.init_from, model);
    models::check_loaded(model, *arguments.init_from);
  }
  return model;
}

}  // namespace

Start make_start(TrainArguments& arguments) {
  Start start;
  if (arguments.resume) {
    begin_with_checkpoint(arguments, start);
  } else if (arguments.init_from) {
    begin_with_weights(arguments, start);
  }
  return start;
}

Data load_data(const TrainArguments& arguments, const Start& start) {
  const models::RunData info = wanted_data(arguments, start);
  const auto read = [&](const std::vector<std::string>& sources, bool named, const char* flag,
                        const std::string& fingerprint) {
    if (!start.checkpoint) return read_texts(sources, info, fingerprint, arguments.quiet);
    Text text = read_texts_of_run(sources, named, *arguments.resume, info, fingerprint, arguments.quiet, flag);
    check_is_same_text(text, sources, named, flag, *arguments.resume);
    return text;
  };
  Text text = read(*arguments.sources, start.data_named, data_flag, info.fingerprint);
  std::optional<Text> held_out;
  if (arguments.held_out) {
    held_out = read(*arguments.held_out, start.held_out_named, held_out_flag, info.held_out_fingerprint);
  }
  gradus::check(
      info.format == models::TextFormat::text || text.lines.size() > 1 || held_out,
      "'{}' is one line, and each line is a document, so none can be held out; give at least two, or read it as "
      "running text: --format text",
      name_of(*arguments.sources));
  std::optional<models::AnyTokenizer> tokenizer = start_tokenizer(arguments, start, text, held_out, info);
  if (!tokenizer && arguments.tokenizer) {
    tokenizer = chosen_tokenizer(*arguments.tokenizer, text, held_out, info.format, arguments.quiet);
  }
  return make_data(std::move(text), std::move(held_out), info, std::move(tokenizer), arguments.quiet);
}

models::GPT make_model(const TrainArguments& arguments, const models::GPTConfig& wanted, Start& start,
                       const models::Tokenizer& tokenizer) {
  if (start.checkpoint) {
    start.checkpoint->model.set_checkpoint_activations(wanted.checkpoint_activations);
    return std::move(start.checkpoint->model);
  }
  models::GPTConfig config = wanted;
  config.lora_rank = 0, config.lora_alpha = models::GPTConfig().lora_alpha;
  models::GPT model = make_whole_model(arguments, config, start, tokenizer);
  start.weights.reset();  // their memory is for the training
  if (wanted.lora_rank > 0) model.add_lora(wanted.lora_rank, wanted.lora_alpha);
  return model;
}

}  // namespace gpt
