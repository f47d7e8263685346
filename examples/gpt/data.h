// Where texts come from - files, folders, standard input or the program itself - and the dataset made of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gradus/models/text/char_tokenizer.h>
#include <gradus/models/text/dataset.h>
#include <gradus/models/train/run_folder.h>

namespace gpt {

inline constexpr std::string_view standard_input = "-", bundled_prefix = "bundled:";

/// The bytes of a file, of standard input ("-"), or of a bundled text. Throws Error where there are none, but for
/// standard input that may be empty.
std::string read_source(const std::string& source, bool may_be_empty = false);

/// What a token is called: "character" where each is one, else "token".
const char* unit_of(const gradus::models::AnyTokenizer& tokenizer);

/// Texts as a model learns them: lines that are documents, or one running text.
struct Text {
  std::vector<std::string> lines;
  std::string running;
  std::string identity;             // see models::TextIdentity
  bool known = false;               // whether it is the one that was asked for
  gradus::Index trimmed = 0;        // documents that lost white space at their ends
  gradus::Index skipped_files = 0;  // with nothing but white space
  std::vector<std::string> files;   // where it is from,
  std::string typed;                // and the bytes of standard input, which cannot be read again
};

/// Files, every file in a folder and the folders in it, "-", "bundled:names", "bundled:korean_names", one after
/// another. `info` tells how they are cut; `fingerprint` is the one of the text that this should be, and may be of an
/// older run.
Text read_texts(const std::vector<std::string>& sources, const gradus::models::RunData& info,
                const std::string& fingerprint, bool quiet);

struct Data {
  std::unique_ptr<gradus::models::Dataset> dataset;
  gradus::models::RunData info;
  gradus::Index characters = 0;
  gradus::Index trimmed = 0;
  gradus::Index changed = 0;    // characters that were left out or replaced, since the tokenizer has none of them,
  std::u32string unknown = {};  // and which

  /// Null for running text.
  const gradus::models::DocumentDataset* documents() const {
    return dynamic_cast<const gradus::models::DocumentDataset*>(dataset.get());
  }
};

/// `held_out` is a text to evaluate on, if info names one. Without a tokenizer it makes the texts' own. Throws
/// UnknownCharacter, with file and line.
Data make_data(Text text, std::optional<Text> held_out, const gradus::models::RunData& info,
               std::optional<gradus::models::AnyTokenizer> tokenizer, bool quiet);
/// The characters of the texts, for make_data().
gradus::models::CharTokenizer make_tokenizer(const Text& text, const std::optional<Text>& held_out,
                                             gradus::models::TextFormat format, bool quiet);

/// "towns.txt, line 7" for the first character that the tokenizer has not; empty for none.
std::string place_of_unknown(const Text& text, const gradus::models::RunData& info,
                             const gradus::models::Tokenizer& tokenizer);

/// What is valid in any folder.
std::vector<std::string> absolute(std::vector<std::string> sources);
/// "towns.txt", or "towns.txt and 2 more".
std::string name_of(const std::vector<std::string>& sources);

/// A text has a character that the tokenizer has not.
class UnknownCharacter : public gradus::Error {
 public:
  using Error::Error;
};
/// Behind such an error, for commands that have the flag.
inline constexpr const char* unknown_hint =
    "; --unknown skip leaves such characters out, --unknown replace puts '?' in their place";

/// "12 characters were left out, which the model does not know: 'é'".
std::string told_unknown(const Data& data);

}  // namespace gpt
