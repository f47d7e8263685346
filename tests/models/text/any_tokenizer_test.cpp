// A tokenizer of any kind where one is asked for: bytes train, are saved, come back and sample as characters do.
#include <gradus/models/text/any_tokenizer.h>

#include <gradus/core/ops.h>
#include <gradus/models/generate/generate.h>
#include <gradus/models/gpt/change_vocabulary.h>
#include <gradus/models/text/byte_tokenizer.h>
#include <gradus/models/train/checkpoint.h>

#include "../helpers.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_if_any;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read;
using testing::small_config;
using testing::TempFolder;
using testing::words;

TEST(ByteTokenizer, TakesEveryTextAsItIs) {
  std::string every;
  for (int byte = 255; byte >= 0; --byte) every += static_cast<char>(byte);
  const std::string decomposed = "\u1112\u1161\u11ab\r\n e\u0301";
  for (const bool boundary : {false, true}) {
    const ByteTokenizer tokenizer(boundary);
    EXPECT_EQ(tokenizer.vocab_size(), boundary ? 257 : 256);
    for (const std::string& text : {every, decomposed, std::string()}) {
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
      EXPECT_EQ(tokenizer.normalize(text), text);
      EXPECT_EQ(tokenizer.fit(text, Unknown::skip).text, text);
    }
    EXPECT_THAT(tokenizer.encode("a\xFF"), ElementsAre(97, 255));
  }
  const std::vector<std::int32_t> document{256, 97, 256};
  EXPECT_EQ(ByteTokenizer(true).boundary(), 256);
  EXPECT_EQ(ByteTokenizer(true).decode(document), "\na\n");
  EXPECT_THAT(error_of([&] { ByteTokenizer(false).decode(document); }), HasSubstr("token 256"));
  EXPECT_THAT(error_of([] { ByteTokenizer(false).boundary(); }), HasSubstr("no boundary"));
}

TEST(AnyTokenizer, KnowsItsKindFromTheFile) {
  const AnyTokenizer characters = CharTokenizer(U"ab", true), bytes = ByteTokenizer(true);
  EXPECT_EQ(characters.to_json(),
            R"({"type":"characters","normalization":"NFC","boundary":true,"characters":["a","b"]})"
            "\n");
  EXPECT_EQ(bytes.to_json(), "{\"type\":\"bytes\",\"boundary\":true}\n");
  for (const AnyTokenizer& one : {characters, bytes, AnyTokenizer(ByteTokenizer(false))}) {
    const TempFolder folder;
    one.save(folder / "tokenizer.json");
    const AnyTokenizer loaded = AnyTokenizer::load(folder / "tokenizer.json");
    EXPECT_EQ(loaded, one);
    EXPECT_EQ(loaded.has_boundary(), one.has_boundary());
    EXPECT_EQ(loaded.as<CharTokenizer>() != nullptr, one == characters);
    EXPECT_EQ(loaded.as<ByteTokenizer>() != nullptr, one != characters);
  }
  EXPECT_NE(bytes, ByteTokenizer(false));
  EXPECT_EQ(static_cast<const CharTokenizer&>(characters).characters(), U"ab");
  EXPECT_THAT(error_of([&] { static_cast<void>(static_cast<const CharTokenizer&>(bytes)); }),
              HasSubstr("no CharTokenizer"));
  EXPECT_THAT(error_of([] { AnyTokenizer::from_json(R"({"type": "syllables"})", "t.json"); }),
              AllOf(HasSubstr("t.json"), HasSubstr("syllables"), HasSubstr("\"characters\""), HasSubstr("\"bytes\"")));
  for (const char* const bad :
       {"", "{}", "[]", R"({"type": 1})", R"({"type": "bytes"})", R"({"type": "bytes", "boundary": 1})",
        R"({"type": "bytes", "boundary": true, "x": 1})"}) {
    EXPECT_THAT(error_of([&] { AnyTokenizer::from_json(bad, "t.json"); }), HasSubstr("t.json")) << bad;
  }
}

std::unique_ptr<Dataset> byte_dataset(TextFormat format) {
  const DatasetOptions options{.block_size = 8};
  std::vector<std::string> lines = words(40);
  for (std::string& line : lines) line += "\u1112\u1161\u11ab";  // stays three letters
  if (format == TextFormat::lines) return std::make_unique<DocumentDataset>(lines, ByteTokenizer(true), options);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return std::make_unique<TextDataset>(text, ByteTokenizer(false), options);
}

TEST(AnyTokenizer, BytesTrainAreSavedAndSample) {
  for (const TextFormat format : {TextFormat::lines, TextFormat::text}) {
    const TempFolder folder;
    const std::unique_ptr<Dataset> data = byte_dataset(format);
    manual_seed(3);
    GPT model(small_config(data->tokenizer().vocab_size()));
    Trainer trainer(model, *data, {.steps = 30, .batch_size = 8, .lr = 0.02});
    RunWriter writer(folder.path(), data->tokenizer(), {.source = "words", .format = format, .block_size = 8}, "{}", 1);
    const double before = trainer.step().loss;
    double after = before;
    while (!trainer.done()) after = trainer.step().loss;
    EXPECT_LT(after, 0.7 * before);
    writer.save(model, trainer.state(), {});

    models::Run run = load_run(folder.path());
    EXPECT_EQ(run.tokenizer, data->tokenizer());
    EXPECT_EQ(run.data.format, format);
    EXPECT_EQ(load_checkpoint(folder.path()).tokenizer, data->tokenizer());
    const std::string prompt = "e\u0301";
    const GenerateOptions options{.max_tokens = 60};
    const auto texts = generate(run.model, run.tokenizer, prompt, 3, options);
    EXPECT_EQ(texts, generate(model, data->tokenizer(), prompt, 3, options));
    for (const std::string& text : texts) {
      EXPECT_TRUE(text.starts_with(prompt));
      EXPECT_EQ(text, valid_utf8(text));
      EXPECT_EQ(format == TextFormat::text || text.find('\n') == std::string::npos, true) << text;
    }
    EXPECT_EQ(generate(run.model, run.tokenizer, "", 1, {.max_tokens = 0}).front(), "");
  }
}

TEST(AnyTokenizer, ModelsMoveToAnotherKindOfTokens) {
  const ByteTokenizer bytes(true);
  const CharTokenizer characters(U"\nab\uD55C", true);
  manual_seed(1);
  const GPT model(small_config(bytes.vocab_size()));
  const GPT adapted = adapt(model, bytes, small_config(characters.vocab_size()), characters);
  const auto row = [](const GPT& of, std::int32_t token) {
    return embedding(of.wte.weight, std::vector<std::int32_t>{token}).to_vector();
  };
  EXPECT_EQ(row(adapted, 0), row(model, '\n'));
  EXPECT_EQ(row(adapted, 1), row(model, 'a'));
  EXPECT_EQ(row(adapted, 2), row(model, 'b'));
  EXPECT_EQ(row(adapted, characters.boundary()), row(model, bytes.boundary()));
  const GPT back = adapt(adapted, characters, model.config(), bytes);
  EXPECT_EQ(row(back, 'b'), row(model, 'b'));
  EXPECT_NE(row(back, 'c'), row(model, 'c'));
}

TEST(TextFormat, HasOneName) {
  for (const TextFormat format : {TextFormat::lines, TextFormat::text}) EXPECT_EQ(text_format(name_of(format)), format);
  EXPECT_EQ(text_format("lines"), TextFormat::lines);
  EXPECT_EQ(text_format("words"), std::nullopt);
  // As runs have always said it.
  const TempFolder folder;
  const GPT model(small_config(3));
  save_run(folder.path(), model, CharTokenizer(U"abc", false), {.format = TextFormat::text});
  EXPECT_THAT(read(folder / "config.json"), HasSubstr("\"documents\": false"));
  save_run(folder.path(), model, CharTokenizer(U"ab", true), {.format = TextFormat::lines});
  EXPECT_THAT(read(folder / "config.json"), HasSubstr("\"documents\": true"));
}

}  // namespace
}  // namespace gradus::models
