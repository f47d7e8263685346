// Each reader finds the tokens' spelled texts, the merges as pairs of texts and the special tokens; assemble() makes a
// vocabulary of them.
#include <gradus/models/text/detail/bpe_files.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include <gradus/core/check.h>
#include <gradus/models/detail/json.h>
#include <gradus/models/text/detail/gpt2_split.h>
#include <gradus/models/text/text.h>

namespace gradus::models::detail {
namespace {

namespace fs = std::filesystem;

// Which tokens are special.
enum class Special { those_listed, those_that_no_merge_makes };

// What files say, before it is known to fit together.
struct Parts {
  std::vector<std::string> spelled;                                   // by token; of special ones the text itself
  std::vector<std::pair<std::string_view, std::string_view>> merges;  // views into the file
  std::vector<Token> special;                                         // those listed
};

// Errors show a text of a file in one line.
std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 60;
  return fmt::format("\"{}{}\"", printable(text.substr(0, longest)), text.size() > longest ? " .." : "");
}

Token id_of(const std::string& token, const Json& value, std::size_t tokens, std::string_view name) {
  const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() < tokens;
  check(fits, "{}: the token {} has the number {}; a vocabulary of {} has the numbers 0 to {}", name, in_quotes(token),
        value.is_null() ? "of no kind" : dump(value), tokens, tokens - 1);
  return static_cast<Token>(value.get<std::uint64_t>());
}

// The texts by their tokens, each of which there must be once.
std::vector<std::string> in_order(const Fields& fields, std::string_view name) {
  check(!fields.empty(), "{}: the vocabulary is empty; it needs a token for each byte", name);
  std::vector<std::string> ordered(fields.size());
  for (const auto& [text, value] : fields) {
    std::string& place = ordered[static_cast<std::size_t>(id_of(text, value, fields.size(), name))];
    check(!text.empty(), "{}: token {} is empty; each stands for at least one byte", name, dump(value));
    check(place.empty(), "{}: two tokens have the number {}, {} and {}; each needs its own", name, dump(value),
          in_quotes(place), in_quotes(text));
    place = text;
  }
  return ordered;
}

// Whether a token that no merge makes is special by its look: <|endoftext|>, <pad>, [MASK], or no spelling of bytes.
bool looks_special(std::string_view text) {
  return (text.starts_with('<') && text.ends_with('>')) || (text.starts_with('[') && text.ends_with(']')) ||
         !unspelled(text).has_value();
}

BPEVocabulary assemble(const Parts& parts, Special special, std::string_view name, std::string_view merges_name) {
  BPEVocabulary vocabulary;
  std::unordered_map<std::string_view, Token> tokens;
  for (std::size_t i = 0; i < parts.spelled.size(); ++i) tokens.emplace(parts.spelled[i], static_cast<Token>(i));
  std::vector<bool> made(parts.spelled.size());
  std::string both;
  for (const auto& [left, right] : parts.merges) {
    const auto find = [&, &left = left, &right = right](std::string_view text) {
      const auto found = tokens.find(text);
      check(
          found != tokens.end(),
          "{}: merge {}, {} and {}, needs the token {}, which the vocabulary has not; take the files of one tokenizer",
          merges_name, vocabulary.merges.size() + 1, in_quotes(left), in_quotes(right), in_quotes(text));
      return found->second;
    };
    both.assign(left).append(right);
    vocabulary.merges.push_back({find(left), find(right), find(both)});
    made[static_cast<std::size_t>(vocabulary.merges.back().result)] = true;
  }
  vocabulary.special = parts.special;
  std::ranges::sort(vocabulary.special);
  for (std::size_t i = 0; i < parts.spelled.size(); ++i) {
    const std::string& text = parts.spelled[i];
    const auto token = static_cast<Token>(i);
    std::optional<std::string> bytes = unspelled(text);
    const bool is_listed = std::ranges::binary_search(parts.special, token);
    const bool is_unmade = !is_listed && !made[i] && (!bytes || bytes->size() > 1);
    if (is_listed || (special == Special::those_that_no_merge_makes && is_unmade && looks_special(text))) {
      if (!is_listed) vocabulary.special.push_back(token);
      vocabulary.tokens.push_back(text);
      continue;
    }
    check(bytes.has_value(),
          "{}: the token {} has a character that stands for no byte in GPT-2's spelling; only byte-level BPE can be "
          "read",
          name, in_quotes(text));
    vocabulary.tokens.push_back(std::move(*bytes));
  }
  std::ranges::sort(vocabulary.special);
  return vocabulary;
}

// Calls f(line, its number) for each line that is not empty.
template <class F>
void each_line(std::string_view text, const F& f) {
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number;
    if (!line.empty()) f(line, number);
    begin = end + 1;
  }
}

// "Ġ t" as its two parts; nothing for anything else.
std::optional<std::pair<std::string_view, std::string_view>> two_parts(std::string_view line) {
  const std::size_t space = line.find(' ');
  const bool two = space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
                   line.find(' ', space + 1) == std::string_view::npos;
  if (!two) return std::nullopt;
  return std::pair(line.substr(0, space), line.substr(space + 1));
}

constexpr std::string_view merges_header = "#version";

}  // namespace

BPEFile from_vocab_and_merges(std::string_view vocab, std::string_view vocab_name, std::string_view merges,
                              std::string_view merges_name) {
  Fields fields;
  parse_json(vocab, vocab_name, {}, fields);
  Parts parts{in_order(fields, vocab_name), {}, {}};
  each_line(merges, [&](std::string_view line, std::size_t number) {
    if (number == 1 && line.starts_with(merges_header)) return;
    const auto two = two_parts(line);
    check(two.has_value(), "{}: line {} is {}; a merge is two texts with a space between them", merges_name, number,
          in_quotes(line));
    parts.merges.push_back(*two);
  });
  return {.vocabulary = assemble(parts, Special::those_that_no_merge_makes, vocab_name, merges_name),
          .name = std::string(vocab_name)};
}

namespace {

// A field that is not there is null.
const Json& field_of(const Json& object, const char* key) {
  static const Json none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

bool is_unset(const Json& value) {
  return value.is_null() || value == false || value == "" || value == 0;
}

// "pre_tokenizer" is null, or of the one type that GPT-2 has.
void check_type(const Json& object, const char* key, const char* type, std::string_view name) {
  const Json& value = field_of(object, key);
  if (value.is_null()) return;
  const Json& its = value.is_object() ? field_of(value, "type") : value;
  check(its == type, "{}: \"{}\" is {}; only byte-level BPE with GPT-2's pattern can be read, where it is \"{}\"", name,
        key, dump(its), type);
}

// Fields that change what text becomes.
void check_kind(const Json& object, const Json& model, std::string_view name) {
  const Json& type = field_of(model, "type");
  check(type.is_null() || type == "BPE",
        "{}: \"type\" of \"model\" is {}; only \"BPE\" on bytes, as GPT-2's, can be read", name, dump(type));
  check(field_of(object, "normalizer").is_null(),
        "{}: \"normalizer\" is {}; only byte-level BPE without one, as GPT-2's, can be read", name,
        dump(field_of(object, "normalizer").is_object() ? field_of(field_of(object, "normalizer"), "type")
                                                        : field_of(object, "normalizer")));
  const Json& splitter = field_of(object, "pre_tokenizer");
  check(!splitter.is_null(), "{}: \"pre_tokenizer\" is missing; byte-level BPE has \"ByteLevel\" there", name);
  check_type(object, "pre_tokenizer", "ByteLevel", name);
  check_type(object, "decoder", "ByteLevel", name);
  check(is_unset(field_of(splitter, "add_prefix_space")),
        "{}: \"add_prefix_space\" of \"pre_tokenizer\" is {}; only false, as GPT-2's, can be read", name,
        dump(field_of(splitter, "add_prefix_space")));
  const Json& pattern = field_of(splitter, "use_regex");
  check(pattern.is_null() || pattern == true,
        "{}: \"use_regex\" of \"pre_tokenizer\" is {}; only true, GPT-2's pattern, can be read", name, dump(pattern));
  for (const char* key :
       {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"}) {
    check(is_unset(field_of(model, key)), "{}: \"{}\" of \"model\" is {}; only byte-level BPE without it can be read",
          name, key, dump(field_of(model, key)));
  }
}

// The tokens that are not made of text, added to the vocabulary's where they are not among them.
std::unordered_set<std::string> special_texts(const Json& added, Fields& vocabulary, bool& boundary,
                                              std::string_view name) {
  std::unordered_set<std::string> texts;
  if (added.is_null()) return texts;
  check(added.is_array(), "{}: \"added_tokens\" is {}, a list is needed", name, dump(added));
  std::unordered_map<std::string, Json> known;
  for (const auto& [text, id] : vocabulary) known.emplace(text, id);
  for (const Json& entry : added) {
    check(entry.is_object(), "{}: \"added_tokens\" has {}; each of them is an object", name, dump(entry));
    const Json &content = field_of(entry, "content"), &id = field_of(entry, "id");
    check(content.is_string() && content != "", "{}: \"added_tokens\" has the \"content\" {}; a text is needed", name,
          dump(content));
    const auto& text = content.get_ref<const std::string&>();
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      check(is_unset(field_of(entry, key)), "{}: \"{}\" of the added token {} is {}; only false can be read", name, key,
            in_quotes(text), dump(field_of(entry, key)));
    }
    check(field_of(entry, "special") == true,
          "{}: the added token {} is not \"special\": it would be looked for in every text; only special ones can be "
          "read",
          name, in_quotes(text));
    const auto [place, is_new] = known.emplace(text, id);
    check(place->second == id, "{}: the token {} has two numbers, {} and {}; leave one out", name, in_quotes(text),
          dump(place->second), dump(id));
    if (is_new) vocabulary.emplace_back(text, id);
    if (text == end_of_text) boundary = field_of(entry, "boundary") != false;
    texts.insert(text);
  }
  return texts;
}

// ["Ġ t", ..], or [["Ġ", "t"], ..] as newer versions write it.
void take_merges(const Json& merges, Parts& parts, std::string_view name) {
  check(merges.is_array(), "{}: \"merges\" of \"model\" is {}, a list is needed", name,
        merges.is_null() ? "missing" : "no list");
  for (const Json& merge : merges) {
    std::optional<std::pair<std::string_view, std::string_view>> two;
    if (merge.is_string()) {
      two = two_parts(merge.get_ref<const std::string&>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      two.emplace(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
    }
    check(two.has_value(), "{}: merge {} is {}; a merge is two texts with a space between them", name,
          parts.merges.size() + 1, dump(merge));
    parts.merges.push_back(*two);
  }
}

}  // namespace

BPEFile from_tokenizer_json(std::string_view json, std::string_view name) {
  Fields fields;
  const Json object = parse_json(json, name, {"model", "vocab"}, fields);
  const Json& model = field_of(object, "model");
  check(model.is_object(), "{}: the field \"model\" is missing, an object with \"vocab\" and \"merges\"", name);
  check_kind(object, model, name);
  BPEFile file;
  file.name = name;
  const auto special = special_texts(field_of(object, "added_tokens"), fields, file.boundary, name);
  Parts parts{in_order(fields, name), {}, {}};
  for (Token token = 0; std::cmp_less(token, parts.spelled.size()); ++token) {
    if (special.contains(parts.spelled[static_cast<std::size_t>(token)])) parts.special.push_back(token);
  }
  take_merges(field_of(model, "merges"), parts, name);
  file.vocabulary = assemble(parts, Special::those_listed, name, name);
  const auto is_byte = [](const std::string& token) { return token.size() == 1; };
  const bool has_all = std::cmp_greater_equal(std::ranges::count_if(file.vocabulary.tokens, is_byte), byte_values);
  const Json& unknown = field_of(model, "unk_token");
  check(has_all || is_unset(unknown),
        "{}: \"unk_token\" of \"model\" is {}, and not every byte has a token; only byte-level BPE without it can be "
        "read",
        name, dump(unknown));
  return file;
}

namespace {

// The bytes of base64 (RFC 4648); nothing for anything else.
std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) text.remove_suffix(1), ++padding;
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t digit = digits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFF);
  }
  return bytes;
}

// The tokens of a rank file in their order, an empty one for the number that it leaves free.
std::vector<std::string> ranked_tokens(std::string_view ranks, std::string_view name) {
  std::vector<std::pair<std::string, std::size_t>> lines;
  each_line(ranks, [&](std::string_view line, std::size_t number) {
    const auto two = two_parts(line);
    const std::optional<std::string> bytes = two ? from_base64(two->first) : std::nullopt;
    std::size_t rank = 0;
    const char* const end = two ? two->second.data() + two->second.size() : nullptr;
    const std::from_chars_result whole{end, std::errc()};
    const bool is_rank = bytes && std::from_chars(two->second.data(), end, rank) == whole;
    check(is_rank, "{}: line {} is {}; a line is a token in base64, a space and its number", name, number,
          in_quotes(line));
    lines.emplace_back(*bytes, rank);
  });
  check(!lines.empty(), "{}: it has no tokens; a line is a token in base64, a space and its number", name);
  std::vector<std::string> tokens(lines.size());
  for (auto& [bytes, rank] : lines) {
    if (rank == lines.size()) tokens.resize(rank + 1);
    check(rank < tokens.size(),
          "{}: a token has the number {}; a vocabulary of {} has the numbers 0 to {}, of which one may be free", name,
          rank, lines.size(), lines.size());
    check(tokens[rank].empty(), "{}: two tokens have the number {}; each needs its own", name, rank);
    tokens[rank] = std::move(bytes);
  }
  return tokens;
}

// A token that GPT-2's pattern would cut, although not at an apostrophe: a part of a contraction is no contraction.
bool is_of_another_pattern(std::string_view token) {
  try {
    decode_utf8(token);
  } catch (const Error&) {
    return false;  // a part of a character, or of several
  }
  return !token.starts_with('\'') && gpt2_piece(token) < token.size();
}

}  // namespace

// A token's merge is what the tokens before it leave of its bytes, two parts. Then merging gives what tiktoken gives,
// which looks for the text of two parts, whichever they are: as long as no merge reaches across the token's ends, the
// token's bytes go through the same steps within a text as by themselves.
BPEFile from_tiktoken(std::string_view ranks, std::string_view name) {
  BPEVocabulary vocabulary{ranked_tokens(ranks, name), {}, {}};
  std::vector<std::string>& tokens = vocabulary.tokens;
  const auto free = std::ranges::find(tokens, "");
  vocabulary.special = {static_cast<Token>(free - tokens.begin())};
  if (free == tokens.end()) tokens.emplace_back();
  tokens[static_cast<std::size_t>(vocabulary.special.front())] = end_of_text;
  std::array<Token, byte_values> bytes{};
  bytes.fill(-1);
  BPEMerges merges(tokens.size());
  MergeScratch scratch;
  for (Token token = 0; std::cmp_less(token, tokens.size()); ++token) {
    const std::string& text = tokens[static_cast<std::size_t>(token)];
    if (text.size() == 1) bytes[static_cast<unsigned char>(text.front())] = token;
  }
  check(std::ranges::find(bytes, -1) == bytes.end(), "{}: not every byte has a token; byte-level BPE has all 256",
        name);
  for (Token token = 0; std::cmp_less(token, tokens.size()); ++token) {
    const std::string& text = tokens[static_cast<std::size_t>(token)];
    if (text.size() == 1 || token == vocabulary.special.front()) continue;
    std::vector<Token> parts;
    for (const char c : text) parts.push_back(bytes[static_cast<unsigned char>(c)]);
    merges.apply(parts, scratch);
    check(parts.size() == 2,
          "{}: token {}, {}, is not made of two earlier ones; the file is damaged or no byte-level BPE", name, token,
          in_quotes(spelled(text)));
    check(!is_of_another_pattern(text),
          "{}: token {}, {}, is one that GPT-2's pattern cuts; the file is for another pattern, which cannot be read",
          name, token, in_quotes(spelled(text)));
    vocabulary.merges.push_back({parts[0], parts[1], token});
    merges.add(vocabulary.merges.back());
  }
  return {.vocabulary = std::move(vocabulary), .name = std::string(name)};
}

namespace {

// The first of `names` that is a file in the folder; else an empty path.
fs::path first_of(const fs::path& folder, std::initializer_list<const char*> names) {
  std::error_code error;
  for (const char* name : names) {
    if (fs::is_regular_file(folder / name, error)) return folder / name;
  }
  return {};
}

constexpr auto vocab_names = {"vocab.json", "encoder.json"};
constexpr auto merges_names = {"merges.txt", "vocab.bpe"};

BPEFile read_pair(const fs::path& folder, fs::path vocab, fs::path merges) {
  if (vocab.empty()) vocab = first_of(folder, vocab_names);
  if (merges.empty()) merges = first_of(folder, merges_names);
  check(!vocab.empty(), "'{}' has merges, but no vocab.json or encoder.json with their tokens; put it beside them",
        folder.native());
  check(!merges.empty(), "'{}' has a vocabulary, but no merges.txt or vocab.bpe with its merges; put it beside it",
        folder.native());
  return from_vocab_and_merges(read_file(vocab), vocab.native(), read_file(merges), merges.native());
}

fs::path tiktoken_file(const fs::path& folder) {
  fs::path found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".tiktoken") continue;
    check(found.empty(), "'{}' has several .tiktoken files; name one of them", folder.native());
    found = entry.path();
  }
  return found;
}

BPEFile read_folder(const fs::path& folder) {
  const std::string name = folder.native();
  if (const fs::path json = first_of(folder, {"tokenizer.json"}); !json.empty()) {
    return from_tokenizer_json(read_file(json), json.native());
  }
  const fs::path vocab = first_of(folder, vocab_names), merges = first_of(folder, merges_names);
  if (!vocab.empty() || !merges.empty()) return read_pair(folder, vocab, merges);
  const fs::path ranks = tiktoken_file(folder);
  check(
      !ranks.empty(),
      "'{}' has no tokenizer in it: no tokenizer.json, no vocab.json and merges.txt, no encoder.json and vocab.bpe, no "
      ".tiktoken file",
      name);
  return from_tiktoken(read_file(ranks), ranks.native());
}

}  // namespace

BPEFile read_bpe(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return read_folder(path);
  const std::string text = read_file(path), name = path.native();
  check_is_text(text, name);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin != std::string::npos && text[begin] == '{') {
    Fields fields;
    parse_json(text, name, {}, fields);
    const bool has_model = std::ranges::find(fields, "model", &Fields::value_type::first) != fields.end();
    return has_model ? from_tokenizer_json(text, name) : read_pair(folder, path, {});
  }
  const bool is_merges = std::string_view(text).starts_with(merges_header) ||
                         std::ranges::find(merges_names, path.filename().string()) != merges_names.end();
  return is_merges ? read_pair(folder, {}, path) : from_tiktoken(text, name);
}

namespace {

std::string spelling_of(const BPEVocabulary& vocabulary, Token token) {
  const std::string& bytes = vocabulary.tokens[static_cast<std::size_t>(token)];
  return std::ranges::binary_search(vocabulary.special, token) ? bytes : spelled(bytes);
}

// Calls f(both parts with a space between them) for each merge.
template <class F>
void each_merge(const BPEVocabulary& vocabulary, const F& f) {
  for (const BPEMerge& merge : vocabulary.merges) {
    f(fmt::format("{} {}", spelling_of(vocabulary, merge.left), spelling_of(vocabulary, merge.right)));
  }
}

}  // namespace

std::string vocab_json(const BPEVocabulary& vocabulary) {
  std::string json = "{";
  for (Token token = 0; std::cmp_less(token, vocabulary.tokens.size()); ++token) {
    json += fmt::format("{}{}:{}", token > 0 ? "," : "", dump(spelling_of(vocabulary, token)), token);
  }
  return json + "}";
}

std::string merges_txt(const BPEVocabulary& vocabulary) {
  std::string text = "#version: 0.2\n";
  each_merge(vocabulary, [&](const std::string& merge) { text += merge + "\n"; });
  return text;
}

Json added_token(std::int32_t token, std::string_view text) {
  return {{"id", token},     {"content", std::string(text)}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false},          {"special", true}};
}

std::string tokenizer_json(const BPEVocabulary& vocabulary, bool boundary) {
  Json added = Json::array();
  for (const Token token : vocabulary.special) {
    const std::string& text = vocabulary.tokens[static_cast<std::size_t>(token)];
    added.push_back(added_token(token, text));
    if (text == end_of_text && !boundary) added.back()["boundary"] = false;
  }
  std::string merges;
  each_merge(vocabulary, [&](const std::string& merge) { merges += (merges.empty() ? "" : ",") + dump(merge); });
  return fmt::format(
      R"({{"version":"1.0","truncation":null,"padding":null,"added_tokens":{},"normalizer":null,)"
      R"("pre_tokenizer":{{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}},)"
      R"("post_processor":null,)"
      R"("decoder":{{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}},)"
      R"("model":{{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,)"
      R"("end_of_word_suffix":null,"fuse_unk":false,"vocab":{},"merges":[{}]}}}})"
      "\n",
      dump(added), vocab_json(vocabulary), merges);
}

}  // namespace gradus::models::detail
