// The bundled texts are linked into the program, so that it runs from any folder.
#include "data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <set>

#include <gradus/models/text/text.h>
#include <gradus_embedded/korean_names.h>
#include <gradus_embedded/names.h>

#include "hints.h"
#include "numbers.h"
#include "waiting.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;
using gradus::Index;
using models::RunData;

std::string read_standard_input(bool may_be_empty) {
  std::string bytes;
  constexpr std::size_t chunk = 1 << 16;
  const std::size_t most = models::longest_text();
  for (std::size_t got = chunk; got > 0;) {
    const std::size_t size = bytes.size();
    bytes.resize(size + chunk);
    got = std::fread(bytes.data() + size, 1, chunk, stdin);
    bytes.resize(size + got);
    gradus::check(bytes.size() <= most,
                  "standard input is longer than {} MB, the most that can be read with this memory; give a part",
                  most / 1'000'000);
  }
  gradus::check(std::ferror(stdin) == 0, "standard input cannot be read; give the text in a file");
  gradus::check(may_be_empty || !bytes.empty(),
                "standard input is empty; give a text, e.g. cat a.txt b.txt | gpt train --data -");
  return bytes;
}

// The files in a folder and the folders in it, sorted, but for hidden and empty ones.
std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().filename().native().starts_with('.')) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file(ignored) && entry->file_size(ignored) > 0) {
      files.push_back(entry->path().string());
    }
  }
  gradus::check(!error, "cannot read the folder '{}': {}; check the path", folder, error.message());
  gradus::check(!files.empty(), "the folder '{}' has no file with text in it; name one that has", folder);
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> expanded(const std::vector<std::string>& sources) {
  std::vector<std::string> files;
  for (const std::string& source : sources) {
    std::error_code error;
    if (!source.starts_with(bundled_prefix) && source != standard_input && fs::is_directory(source, error)) {
      std::ranges::move(files_in(source), std::back_inserter(files));
    } else {
      files.push_back(source);
    }
  }
  gradus::check(std::ranges::count(files, standard_input) <= 1,
                "--data - is there twice; standard input can be read once");
  return files;
}

bool is_blank(std::string_view bytes) {
  return bytes.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

// Older runs know a text by the bytes of its file: those there are, or those of the same text with other line ends and
// with or without a byte order mark.
bool was_known_as(const std::string& fingerprint, const std::string& bytes, const std::string& name) {
  if (models::fingerprint(bytes) == fingerprint) return true;
  const std::string text = models::normalize_text(bytes, name);
  std::string with_returns;
  for (const char c : text) with_returns += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const std::string mark = "\xEF\xBB\xBF";
  return std::ranges::any_of(std::vector<std::string>{text, with_returns, mark + text, mark + with_returns},
                             [&](const std::string& one) { return models::fingerprint(one) == fingerprint; });
}

// Leaves out or replaces what the tokenizer has not.
class Fitter {
 public:
  Fitter(const models::Tokenizer& tokenizer, models::Unknown unknown) : tokenizer_(tokenizer), unknown_(unknown) {}

  void fit(std::string& text) {
    models::Fitted fitted = tokenizer_.fit(text, unknown_, "data");
    text = std::move(fitted.text);
    changed += fitted.changed;
    seen_.insert(fitted.unknown.begin(), fitted.unknown.end());
  }
  void fit(Text& text) {
    for (std::string& line : text.lines) fit(line);
    std::erase(text.lines, "");
    if (!text.running.empty()) fit(text.running);
  }
  std::u32string unknown() const { return {seen_.begin(), seen_.end()}; }
  Index changed = 0;

 private:
  const models::Tokenizer& tokenizer_;
  models::Unknown unknown_;
  std::set<char32_t> seen_;
};

// The part of a line that is learned. `ended`: more text follows its end.
std::string content_of(std::string_view line, bool ended, const RunData& info) {
  if (info.format == models::TextFormat::text) return models::normalize_text(std::string(line) + (ended ? "\n" : ""));
  if (is_blank(line)) return {};
  try {
    return models::split_documents(line, "text", {.keep_space = info.keep_space}).front();
  } catch (const gradus::Error&) {
    return {};  // nothing but white space
  }
}

// Calls f(what is learned of a line, "towns.txt, line 7") for each line until f returns false.
template <class F>
void each_line(const Text& text, const RunData& info, const F& f) {
  for (const std::string& file : text.files) {
    const std::string name = name_of({file});
    const std::string bytes = file == standard_input ? text.typed : read_source(file);
    const char end_of_line = bytes.find('\n') == std::string::npos ? '\r' : '\n';
    std::size_t number = 1;
    for (std::size_t begin = 0; begin < bytes.size(); ++number) {
      const std::size_t end = std::min(bytes.find(end_of_line, begin), bytes.size());
      const std::string_view line = std::string_view(bytes).substr(begin, end - begin);
      if (!f(content_of(line, end < bytes.size(), info), fmt::format("{}, line {}", name, number))) return;
      begin = end + 1;
    }
  }
}

void check_known(const models::Tokenizer& tokenizer, const std::string& line, const std::string& place) {
  try {
    tokenizer.encode(line, place);
  } catch (const gradus::Error& problem) {
    throw UnknownCharacter(problem.what());
  }
}

std::size_t length_of(const Text& text) {
  return std::accumulate(text.lines.begin(), text.lines.end(), text.running.size(),
                         [](std::size_t sum, const std::string& line) { return sum + line.size(); });
}

// The user's folder for what can be made again (XDG Base Directory Specification); empty if there is none.
fs::path cache_folder() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return fs::path(cache) / "gradus";
  const char* const home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? fs::path(home) / ".cache" / "gradus" : fs::path();
}

// Where the tokens of a long text are kept; empty for one that is tokenized in a moment.
fs::path token_file(const Text& text, const std::optional<Text>& held_out, const models::AnyTokenizer& tokenizer) {
  constexpr std::size_t long_text = 16'000'000;
  const fs::path folder = cache_folder();
  if (length_of(text) + (held_out ? length_of(*held_out) : 0) < long_text || folder.empty()) return {};
  const std::string name = text.identity + (held_out ? held_out->identity : "") + tokenizer.to_json();
  return folder / (models::fingerprint(name) + ".tokens");
}

std::unique_ptr<models::Dataset> make_dataset(const Text& text, const std::optional<Text>& held_out,
                                              const RunData& info, const models::AnyTokenizer& tokenizer,
                                              const models::Progress& progress) {
  const models::DatasetOptions options{.block_size = info.block_size,
                                       .held_out = info.held_out,
                                       .seed = info.seed,
                                       .distinct = info.distinct,
                                       .token_file = token_file(text, held_out, tokenizer)};
  using Documents = models::DocumentDataset;
  using Running = models::TextDataset;
  if (info.format == models::TextFormat::lines) {
    return held_out ? std::make_unique<Documents>(text.lines, held_out->lines, tokenizer, options, progress)
                    : std::make_unique<Documents>(text.lines, tokenizer, options, progress);
  }
  return held_out ? std::make_unique<Running>(text.running, held_out->running, tokenizer, options, progress)
                  : std::make_unique<Running>(text.running, tokenizer, options, progress);
}

Index characters_of(const Text& text) {
  Index all = models::characters_in(text.running);
  for (const std::string& line : text.lines) all += models::characters_in(line);
  return all;
}

}  // namespace

const char* unit_of(const models::AnyTokenizer& tokenizer) {
  return tokenizer.as<models::CharTokenizer>() != nullptr ? "character" : "token";
}

std::string read_source(const std::string& source, bool may_be_empty) {
  if (source == standard_input) return read_standard_input(may_be_empty);
  if (!source.starts_with(bundled_prefix)) return models::read_file(source);
  if (source == "bundled:names") return std::string(gradus::embedded::names);
  if (source == "bundled:korean_names") return std::string(gradus::embedded::korean_names);
  gradus::fail("there is no text '{}' in this program; it has bundled:names and bundled:korean_names", source);
}

std::vector<std::string> absolute(std::vector<std::string> sources) {
  for (std::string& source : sources) {
    if (source.starts_with(bundled_prefix) || source == standard_input) continue;
    source = fs::absolute(source).lexically_normal().string();
  }
  return sources;
}

std::string name_of(const std::vector<std::string>& sources) {
  std::string first = sources.front() == standard_input ? "standard input" : sources.front();
  return sources.size() == 1 ? first : fmt::format("{} and {} more", first, sources.size() - 1);
}

Text read_texts(const std::vector<std::string>& sources, const RunData& info, const std::string& fingerprint,
                bool quiet) {
  Text text;
  const std::vector<std::string>& files = text.files = expanded(sources);
  models::TextIdentity identity;
  const bool is_older = !fingerprint.empty() && !models::TextIdentity::made(fingerprint);
  for (const std::string& file : files) {
    const std::string name = name_of({file});
    Waiting waiting("reading " + name, quiet);
    const std::string bytes = read_source(file);
    if (file == standard_input) text.typed = bytes;
    if (files.size() > 1 && is_blank(bytes)) {
      ++text.skipped_files;
      continue;
    }
    if (info.format == models::TextFormat::lines) {
      const models::SplitOptions options{.keep_space = info.keep_space, .progress = waiting.progress()};
      std::ranges::move(models::split_documents(bytes, name, options, &text.trimmed), std::back_inserter(text.lines));
    } else {
      if (!text.running.empty() && text.running.back() != '\n') text.running += '\n';
      std::string more = models::normalize_text(bytes, name, waiting.progress());
      // As older runs have learned it.
      if (is_older && bytes.find('\n') == std::string::npos) std::ranges::replace(more, '\n', '\r');
      if (text.running.empty()) {
        text.running = std::move(more);
      } else {
        text.running += more;
      }
    }
    if (files.size() == 1 && is_older) text.known = was_known_as(fingerprint, bytes, name);
  }
  gradus::check(!text.lines.empty() || !text.running.empty(), "{}: there is nothing but white space; give some text",
                name_of(sources));
  for (const std::string& line : text.lines) identity.add(line);
  if (info.format == models::TextFormat::text) identity.add(text.running);
  text.identity = identity.text();
  text.known |= text.identity == fingerprint;
  return text;
}

models::CharTokenizer make_tokenizer(const Text& text, const std::optional<Text>& held_out, models::TextFormat format,
                                     bool quiet) {
  const bool documents = format == models::TextFormat::lines;
  Waiting waiting("looking for characters", quiet);
  const auto of = [&](const Text& one) {
    return documents ? models::CharTokenizer::from_documents(one.lines)
                     : models::CharTokenizer::from_text(one.running, waiting.progress());
  };
  const models::CharTokenizer own = of(text);
  return held_out ? models::CharTokenizer(own.characters() + of(*held_out).characters(), documents) : own;
}

Data make_data(Text text, std::optional<Text> held_out, const RunData& info,
               std::optional<models::AnyTokenizer> tokenizer, bool quiet) {
  Data data{.dataset = nullptr, .info = info, .trimmed = text.trimmed};
  data.info.fingerprint = text.identity;
  if (held_out) data.info.held_out_fingerprint = held_out->identity;
  if (!tokenizer) tokenizer = make_tokenizer(text, held_out, info.format, quiet);
  if (info.unknown != models::Unknown::refuse) {
    Fitter fitter(*tokenizer, info.unknown);
    fitter.fit(text);
    if (held_out) fitter.fit(*held_out);
    for (const Text* const fitted : {&text, held_out ? &*held_out : &text}) {
      gradus::check(!fitted->lines.empty() || !fitted->running.empty(),
                    "the model knows no character of the text, so nothing is left of it; give text in its alphabet");
    }
    data.changed = fitter.changed;
    data.unknown = fitter.unknown();
  }
  Waiting waiting("tokenizing", quiet);
  try {
    data.dataset = make_dataset(text, held_out, info, *tokenizer, waiting.progress());
  } catch (const gradus::Error& problem) {
    for (const Text* const one : {&text, held_out ? &*held_out : &text}) {
      each_line(*one, info, [&](const std::string& line, const std::string& place) {
        check_known(*tokenizer, line, place);
        return true;
      });
    }
    gradus::fail("{}: {}", name_of(text.files), told(problem));
  }
  data.characters = characters_of(text) + (held_out ? characters_of(*held_out) : 0);
  return data;
}

std::string place_of_unknown(const Text& text, const RunData& info, const models::Tokenizer& tokenizer) {
  std::string found;
  each_line(text, info, [&](const std::string& line, const std::string& place) {
    if (tokenizer.fit(line, models::Unknown::skip, place).changed > 0) found = place;
    return found.empty();
  });
  return found;
}

std::string told_unknown(const Data& data) {
  constexpr std::size_t most = 20;
  std::string shown = models::printable(models::encode_utf8(data.unknown.substr(0, most)));
  if (data.unknown.size() > most) shown += " ..";
  return fmt::format("{} that the model does not know {} {} ({})", counted(data.changed, "character"),
                     data.changed == 1 ? "was" : "were",
                     data.info.unknown == models::Unknown::skip ? "left out" : "replaced", shown);
}

}  // namespace gpt
