// gpt tokenize: text to the numbers of its tokens and back, vocabularies learned, and what a text costs under each
// kind.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/text/text.h>

#include "commands.h"
#include "data.h"
#include "numbers.h"
#include "output.h"
#include "waiting.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;
using gradus::Index;

struct TokenizeArguments {
  std::string what, tokenizer, data = std::string(standard_input), to;
  Index vocab_size = 0;
  bool special = false;
};

// <|endoftext|> is written out as it is, since what comes in need not be documents.
models::AnyTokenizer read_tokenizer(const std::string& path) {
  models::AnyTokenizer read = models::AnyTokenizer::load(path);
  const auto* const bpe = read.as<models::BPETokenizer>();
  return bpe != nullptr ? models::AnyTokenizer(bpe->with_boundary(false)) : read;
}

std::string input_of(const TokenizeArguments& arguments) {
  return read_source(arguments.data, /*may_be_empty=*/true);
}

std::vector<std::int32_t> tokens_of(const TokenizeArguments& arguments, const models::AnyTokenizer& tokenizer,
                                    const std::string& text) {
  const std::string name = name_of({arguments.data});
  const auto* const bpe = tokenizer.as<models::BPETokenizer>();
  return arguments.special && bpe != nullptr ? bpe->encode_with_special(text, name) : tokenizer.encode(text, name);
}

int encode(const TokenizeArguments& arguments) {
  std::string line;
  for (const std::int32_t token : tokens_of(arguments, read_tokenizer(arguments.tokenizer), input_of(arguments))) {
    fmt::format_to(std::back_inserter(line), "{}{}", line.empty() ? "" : " ", token);
  }
  print("{}\n", line);
  return 0;
}

int decode(const TokenizeArguments& arguments) {
  const models::AnyTokenizer tokenizer = read_tokenizer(arguments.tokenizer);
  const std::string words = input_of(arguments);
  constexpr const char* spaces = " \t\r\n\v\f";
  std::vector<std::int32_t> tokens;
  for (std::size_t begin = words.find_first_not_of(spaces); begin != std::string::npos;) {
    const std::size_t end = std::min(words.find_first_of(spaces, begin), words.size());
    std::int32_t token = 0;
    const auto [stop, error] = std::from_chars(words.data() + begin, words.data() + end, token);
    constexpr std::size_t longest = 40;
    gradus::check(error == std::errc{} && stop == words.data() + end,
                  "{}: number {} is '{}'; give the numbers of tokens with spaces between them",
                  name_of({arguments.data}), tokens.size() + 1,
                  models::printable(words.substr(begin, std::min(end - begin, longest))));
    tokens.push_back(token);
    begin = words.find_first_not_of(spaces, end);
  }
  print("{}", tokenizer.decode(tokens));
  return 0;
}

// The first of the files that train writes which are there already.
std::string file_in_the_way(const fs::path& folder) {
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt"}) {
    std::error_code error;
    if (fs::exists(folder / name, error)) return name;
  }
  return {};
}

int train(const TokenizeArguments& arguments) {
  const std::string in_the_way = file_in_the_way(arguments.to);
  gradus::check(in_the_way.empty(), "--to is '{}', which holds '{}'; choose another folder", arguments.to, in_the_way);
  models::RunData info;
  info.format = models::TextFormat::text;
  const Text text = read_texts({arguments.data}, info, "", false);
  const auto tokenizer = [&] {
    Waiting waiting("learning a vocabulary", false);
    return models::BPETokenizer::train(text.running, arguments.vocab_size - 1, waiting.progress()).with_boundary(true);
  }();
  tokenizer.save_files(arguments.to);
  const auto tokens = std::ssize(tokenizer.encode(text.running));
  print("{} for {} of text, {:.2f} bytes each, from a vocabulary of {}\n", counted(tokens, "token"),
        counted(std::ssize(text.running), "byte"),
        static_cast<double>(text.running.size()) / static_cast<double>(tokens), grouped(tokenizer.vocab_size()));
  if (tokenizer.vocab_size() < arguments.vocab_size) {
    print("no two neighbours occur twice any more, so there are fewer than {}\n", grouped(arguments.vocab_size));
  }
  print("saved in {}: vocab.json, merges.txt, tokenizer.json\n", arguments.to);
  return 0;
}

// A piece in one line: bytes that are a part of a character, and control characters, as "\\xed".
std::string shown(std::string_view piece) {
  std::string result;
  for (std::size_t i = 0; i < piece.size();) {
    std::size_t length = 1;
    while (i + length < piece.size() && models::continues_character(piece[i + length])) ++length;
    const std::string_view character = piece.substr(i, length);
    i += length;
    const auto first = static_cast<unsigned char>(character.front());
    if (character == "\n" || character == "\t") {
      result += character == "\n" ? "\\n" : "\\t";
    } else if (models::valid_utf8(character) == character && first >= ' ') {
      result += visible(character);
    } else {
      for (const char byte : character) result += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
  }
  return result;
}

// On a terminal neighbours have different colors, else brackets are around each piece.
void show_pieces(const models::AnyTokenizer& tokenizer, std::span<const std::int32_t> tokens) {
  const char* const no_color = std::getenv("NO_COLOR");
  const bool colors = terminal_can_move() && (no_color == nullptr || *no_color == '\0');
  constexpr const char* backgrounds[] = {"\x1b[30;46m", "\x1b[30;43m", "\x1b[30;42m", "\x1b[30;45m"};
  std::string all;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string piece = tokenizer.decode(tokens.subspan(i, 1));
    all += colors ? fmt::format("{}{}\x1b[0m", backgrounds[i % std::size(backgrounds)], shown(piece))
                  : fmt::format("[{}]", shown(piece));
    if (piece.ends_with('\n')) all += '\n';
  }
  fmt::print("{}{}", all, all.empty() || all.ends_with('\n') ? "" : "\n");
}

int show(const TokenizeArguments& arguments) {
  const models::AnyTokenizer tokenizer = read_tokenizer(arguments.tokenizer);
  const std::string text = input_of(arguments);
  const std::vector<std::int32_t> tokens = tokens_of(arguments, tokenizer, text);
  show_pieces(tokenizer, tokens);
  const auto row = [&](const std::string& kind, Index count) {
    const double bytes = static_cast<double>(text.size()) / static_cast<double>(std::max<Index>(1, count));
    print("{:<24} {:>12}  {:.2f} bytes each\n", kind, counted(count, "token"), bytes);
  };
  print("\n");
  row("as characters", models::characters_in(text));
  row("as bytes", std::ssize(text));
  row(fmt::format("here, of {}", grouped(tokenizer.vocab_size())), std::ssize(tokens));
  return 0;
}

int tokenize(const TokenizeArguments& arguments) {
  require(!arguments.what.empty(),
          "gpt tokenize needs what to do: encode, decode, train or show, e.g. gpt tokenize show "
          "--tokenizer runs/names (see gpt tokenize --help)");
  if (arguments.what == "train") {
    require(arguments.data != standard_input && !arguments.to.empty() && arguments.vocab_size > 0,
            "gpt tokenize train needs --data FILE, --vocab-size N and --to FOLDER (see gpt tokenize --help)");
    require(arguments.tokenizer.empty() && !arguments.special,
            "gpt tokenize train learns a new vocabulary; leave --tokenizer and --special out");
    return train(arguments);
  }
  require(!arguments.tokenizer.empty(), "gpt tokenize {} needs --tokenizer FOLDER (see gpt tokenize --help)",
          arguments.what);
  require(arguments.to.empty() && arguments.vocab_size == 0,
          "--to and --vocab-size are of gpt tokenize train, not of gpt tokenize {}; leave them out", arguments.what);
  return arguments.what == "encode"   ? encode(arguments)
         : arguments.what == "decode" ? decode(arguments)
                                      : show(arguments);
}

}  // namespace

void add_tokenize(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<TokenizeArguments>();
  TokenizeArguments& a = *arguments;
  CLI::App& command = *app.add_subcommand("tokenize", "Turn text into tokens and back, or learn a vocabulary");
  command
      .add_option(
          "WHAT", a.what,
          "encode: text to the numbers of its tokens; decode: back; train: learn a vocabulary; show: the pieces, "
          "and what the text costs as characters, as bytes and so")
      ->check(one_of({"encode", "decode", "train", "show"}))
      ->type_name("encode|decode|train|show");
  command
      .add_option(
          "--tokenizer", a.tokenizer,
          "A folder with the files of a tokenizer (GPT-2's, Hugging Face's, tiktoken's), or of a run, or one of "
          "the files")
      ->type_name("FOLDER");
  command.add_option("--data", a.data, "The text, or the numbers to decode (default: standard input)")
      ->type_name("FILE");
  command.add_option("--vocab-size", a.vocab_size, "Tokens to learn, the 256 bytes and <|endoftext|> included")
      ->check(range("--vocab-size", 257, 1'000'000))
      ->type_name("N");
  command.add_option("--to", a.to, "Where train writes vocab.json, merges.txt and tokenizer.json")->type_name("FOLDER");
  command.add_flag("--special", a.special,
                   "Special tokens such as <|endoftext|> in the text are tokens, not the text that they are");
  add_threads(command);
  command.footer(
      "The vocabulary that train learns is byte-level BPE, as GPT-2's; gpt train --tokenizer FOLDER uses it, and so "
      "do\n"
      "Python's tokenizers and transformers.\n\n"
      "Examples:\n"
      "  gpt tokenize train --data tinyshakespeare.txt --vocab-size 5000 --to vocabulary\n"
      "  gpt tokenize show --tokenizer vocabulary < letter.txt\n"
      "  gpt tokenize encode --tokenizer vocabulary < letter.txt > numbers.txt\n"
      "  gpt tokenize decode --tokenizer vocabulary < numbers.txt");
  command.callback([arguments, &action] { action = [arguments] { return tokenize(*arguments); }; });
}

}  // namespace gpt
