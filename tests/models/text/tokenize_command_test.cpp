// gpt tokenize as a user calls it, and trainings whose tokens are no characters: learned, read from files, resumed and
// fine-tuned.
#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/train/run_folder.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "../command.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::read;
using testing::Result;
using testing::write;
using Arguments = std::vector<std::string>;

struct Tokenize : testing::Command {
  Tokenize() {
    std::string text;
    for (int i = 0; i < 400; ++i)
      text += fmt::format("line {} of the text isn't {}; 이것은 {}번째 줄\n", i, i * 37 % 101, i);
    write(folder / "text.txt", text);
    std::string names;
    for (const std::string& word : testing::words(200)) names += word + "\n";
    write(folder / "names.txt", names);
  }
  Result learn(const char* to = "vocabulary") const {
    return gpt({"tokenize", "train", "--data", "text.txt", "--vocab-size", "400", "--to", to});
  }
  // gpt tokenize with `input` on standard input.
  Result tokenize(const std::string& rest, const std::string& input) const {
    write(folder / "input", input);
    const std::string command = fmt::format("cd '{}' && '" GRADUS_BIN_DIR "/gpt' tokenize {} < input > out 2> err",
                                            folder.path().string(), rest);
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), read(folder / "out"), read(folder / "err")};
  }
};

TEST_F(Tokenize, GoesBothWays) {
  const Result learned = learn();
  EXPECT_EQ(learned.status, 0) << learned.err;
  EXPECT_THAT(learned.out, AllOf(HasSubstr("from a vocabulary of 400"), HasSubstr("saved in vocabulary: vocab.json")));
  const BPETokenizer tokenizer = BPETokenizer::load(folder / "vocabulary");
  EXPECT_EQ(tokenizer.vocab_size(), 400);
  for (const std::string& input :
       {read(folder / "text.txt"), std::string("e\u0301\r\n \u0085<|endoftext|> x"), std::string()}) {
    std::string numbers;
    for (const std::int32_t token : tokenizer.encode(input))
      numbers += fmt::format("{}{}", numbers.empty() ? "" : " ", token);
    const Result encoded = tokenize("encode --tokenizer vocabulary", input);
    EXPECT_EQ(encoded.status, 0) << encoded.err;
    EXPECT_EQ(encoded.out, numbers + "\n");
    EXPECT_EQ(tokenize("encode --tokenizer vocabulary --data input", input).out, input.empty() ? "" : encoded.out);
    EXPECT_EQ(tokenize("decode --tokenizer vocabulary/tokenizer.json", encoded.out).out, input);
  }
  EXPECT_EQ(tokenize("encode --tokenizer vocabulary --special", "<|endoftext|>").out, "399\n");
  EXPECT_EQ(tokenize("decode --tokenizer vocabulary", "399\n\t 0").out, "<|endoftext|>!");
  // Whatever the number of threads.
  const std::string large = read(folder / "text.txt") + read(folder / "text.txt") + read(folder / "text.txt");
  EXPECT_EQ(tokenize("encode --tokenizer vocabulary --threads 1", large).out,
            tokenize("encode --tokenizer vocabulary --threads 3", large).out);
}

TEST_F(Tokenize, ShowsPiecesAndWhatTheyCost) {
  ASSERT_EQ(learn().status, 0);
  const Result shown = tokenize("show --tokenizer vocabulary", "the text 줄\nq\u4e00\x1b");
  EXPECT_EQ(shown.status, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("[t][he][ text][ 줄][\\n]\n[q][\\xe4][\\xb8][\\x80][\\x1b]\n"));
  EXPECT_THAT(shown.out, AllOf(HasSubstr("as characters               14 tokens"),
                               HasSubstr("as bytes                    18 tokens"),
                               HasSubstr("here, of 400                10 tokens  1.80 bytes each")));
  ASSERT_EQ(train({"--data", "names.txt", "--out", "run", "--quiet"}).status, 0);
  EXPECT_THAT(tokenize("show --tokenizer run", "aab").out, HasSubstr("[a][a][b]\n"));
}

TEST_F(Tokenize, ErrorsAreSentences) {
  ASSERT_EQ(learn().status, 0);
  expect_error(learn(), 1, "--to is 'vocabulary', which holds 'tokenizer.json'; choose another folder");
  expect_error(gpt({"tokenize"}), 2, "needs what to do: encode, decode, train or show");
  expect_error(gpt({"tokenize", "encoed"}), 2, "'encoed' is not one of encode, decode, train, show");
  expect_error(gpt({"tokenize", "encode"}), 2, "gpt tokenize encode needs --tokenizer FOLDER");
  expect_error(gpt({"tokenize", "encode", "decode", "--tokenizer", "x"}), 2, "one argument too many");
  expect_error(gpt({"tokenize", "train", "--data", "text.txt"}), 2, "--vocab-size N and --to FOLDER");
  expect_error(gpt({"tokenize", "train", "--data", "text.txt", "--vocab-size", "256", "--to", "x"}), 2,
               "--vocab-size is 256, it must be from 257");
  expect_error(gpt({"tokenize", "show", "--tokenizer", "x", "--to", "y"}), 2, "are of gpt tokenize train");
  expect_error(tokenize("encode --tokenizer none", "a"), 1, "none");
  expect_error(tokenize("encode --tokenizer vocabulary", "ok\xFF"), 1, "standard input: byte 0xff at offset 2");
  expect_error(tokenize("decode --tokenizer vocabulary", "1 2 x3"), 1, "standard input: number 3 is 'x3'");
  expect_error(tokenize("decode --tokenizer vocabulary", "99999999999"), 1, "number 1 is '99999999999'");
  expect_error(tokenize("decode --tokenizer vocabulary", "-1"), 1, "token -1 is not one of");
  expect_error(tokenize("decode --tokenizer vocabulary", "400"), 1,
               "token 400 is not one of the vocabulary's 0 .. 399");
  std::filesystem::remove(folder / "vocabulary/tokenizer.json");
  EXPECT_EQ(tokenize("encode --tokenizer vocabulary", "a").status, 0);
  std::filesystem::remove(folder / "vocabulary/vocab.json");
  expect_error(tokenize("encode --tokenizer vocabulary", "a"), 1, "has merges, but no vocab.json");
  write(folder / "vocabulary/tokenizer.json", R"({"model": {"type": "Unigram"}})");
  expect_error(tokenize("encode --tokenizer vocabulary", "a"), 1, "is \"Unigram\"; only \"BPE\"");
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST_F(Tokenize, ModelsLearnPiecesBytesAndFiles) {
  ASSERT_EQ(learn().status, 0);
  for (const char* format : {"text", "lines"}) {
    const bool documents = std::string_view(format) == "lines";
    for (const auto& [choice, size] :
         {std::pair{"bpe:300", 300}, {"bytes", documents ? 257 : 256}, {"vocabulary", 400}}) {
      SCOPED_TRACE(fmt::format("{} {}", format, choice));
      const Result trained =
          train({"--data", "text.txt", "--format", format, "--tokenizer", choice, "--out", "run", "--overwrite",
                 "--steps", "4", "--samples", "2", "--context", "16", "--schedule", "constant", "--warmup", "0"});
      ASSERT_EQ(trained.status, 0) << trained.err;
      EXPECT_THAT(trained.out, AllOf(HasSubstr(fmt::format("vocabulary {}", size)), HasSubstr("characters")));
      const models::Run run = load_run(folder / "run");
      EXPECT_EQ(run.tokenizer.vocab_size(), size);
      EXPECT_EQ(run.tokenizer.has_boundary(), documents);
      const std::string text = "line 7 of 이것은 \U0001F600";
      EXPECT_EQ(run.tokenizer.decode(run.tokenizer.encode(text)), text);
      EXPECT_EQ(AnyTokenizer::load(folder / "run"), run.tokenizer);
      for (const char* command : {"eval", "info", "check"}) EXPECT_EQ(gpt({command, "run"}).status, 0);
      EXPECT_EQ(gpt({"sample", "run", "--prompt", "줄 lin", "--count", "2"}).status, 0);
      // A training that was stopped ends with the same bytes as one that was not.
      const std::map<std::string, std::string> whole = contents("run");
      ASSERT_EQ(train({"--data", "text.txt", "--format", format, "--tokenizer", choice, "--out", "run", "--overwrite",
                       "--steps", "2", "--context", "16", "--schedule", "constant", "--warmup", "0", "--quiet"})
                    .status,
                0);
      const Result resumed = gpt({"train", "--resume", "run", "--steps", "4", "--quiet"});
      EXPECT_EQ(resumed.status, 0) << resumed.err;
      const nn::NamedTensors now = load_run(folder / "run").model.named_parameters(),
                             then = run.model.named_parameters();
      for (std::size_t i = 0; i < now.size(); ++i)
        EXPECT_EQ(gradus::testing::bits(now[i].second), gradus::testing::bits(then[i].second));
      EXPECT_EQ(contents("run").at("tokenizer.json"), whole.at("tokenizer.json"));
    }
  }
  EXPECT_THAT(read(folder / "run/config.json"), HasSubstr("/vocabulary\""));  // a path that is valid in any folder
  expect_error(gpt({"train", "--resume", "run", "--tokenizer", "bytes"}), 1, "--tokenizer cannot change");
  EXPECT_EQ(gpt({"train", "--resume", "run", "--tokenizer", "./vocabulary", "--steps", "5", "--quiet"}).status, 0);
}

// Models with different tokens compare by what they pay for a character, or for a byte.
TEST_F(Tokenize, EvaluationCountsBitsPerCharacterAndByte) {
  for (const char* format : {"text", "lines"}) {
    for (const char* choice : {"characters", "bytes", "bpe:300"}) {
      SCOPED_TRACE(fmt::format("{} {}", format, choice));
      ASSERT_EQ(train({"--data", "text.txt", "--format", format, "--tokenizer", choice, "--out", "run", "--overwrite",
                       "--context", "16", "--quiet"})
                    .status,
                0);
      const auto judged = nlohmann::json::parse(gpt({"eval", "run", "--json"}).out);
      const AnyTokenizer tokenizer = AnyTokenizer::load(folder / "run");
      const models::Run run = load_run(folder / "run");
      // The held-out part again, by the library.
      const std::string text = read_text(folder / "text.txt");
      const DatasetOptions options{.block_size = run.data.block_size, .held_out = 0.1, .seed = run.data.seed};
      const std::unique_ptr<Dataset> dataset = run.data.format == TextFormat::lines
                                                   ? std::unique_ptr<Dataset>(std::make_unique<DocumentDataset>(
                                                         read_documents(folder / "text.txt"), tokenizer, options))
                                                   : std::make_unique<TextDataset>(text, tokenizer, options);
      Batch batch;
      dataset->read(Part::held_out, 0, 1 << 20, batch);
      const std::string held_out = tokenizer.decode(batch.targets);
      const auto characters = static_cast<double>(
          std::ranges::count_if(held_out, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
      const double bits =
          judged["held_out_loss"].get<double>() / std::log(2.0) * static_cast<double>(batch.targets.size());
      EXPECT_NEAR(judged["bits_per_character"].get<double>(), bits / characters, 1e-9);
      EXPECT_NEAR(judged["bits_per_byte"].get<double>(), bits / static_cast<double>(held_out.size()), 1e-9);
      EXPECT_EQ(judged["tokens"], batch.targets.size());
      const bool one_each = choice == std::string("characters");
      EXPECT_EQ(one_each, static_cast<double>(batch.targets.size()) == characters);
      const std::string told = gpt({"eval", "run"}).out;
      EXPECT_THAT(told, HasSubstr(one_each ? " characters" : " tokens"));
      EXPECT_THAT(told, AllOf(HasSubstr("bits per character  "), HasSubstr("bits per byte       ")));
    }
  }
}

TEST_F(Tokenize, FineTuningKeepsTheTokens) {
  ASSERT_EQ(
      train({"--data", "text.txt", "--format", "text", "--tokenizer", "bpe:300", "--out", "run", "--quiet"}).status, 0);
  const auto tune = [&](Arguments more) {
    more.insert(more.begin(), {"train", "--init-from", "run/model.safetensors", "--data", "names.txt", "--steps", "1",
                               "--out", "tuned", "--overwrite", "--quiet"});
    return gpt(more);
  };
  EXPECT_EQ(tune({}).status, 0);
  EXPECT_EQ(load_run(folder / "tuned").tokenizer, load_run(folder / "run").tokenizer);
  EXPECT_EQ(tune({"--format", "lines"}).status, 0);  // the boundary is a new token
  EXPECT_EQ(load_run(folder / "tuned").tokenizer.boundary(), 300);
  expect_error(tune({"--tokenizer", "bytes"}), 1, "--tokenizer is 'bytes', but the weights of '");
  expect_error(train({"--tokenizer", "bpe:256"}), 2, "behind bpe: stands how many tokens there are to be, from 257");
  expect_error(train({"--tokenizer", "bpe:"}), 2, "e.g. bpe:1000");
  expect_error(train({"--tokenizer", "none"}), 2, "it can be characters, bytes, bpe:N");
  write(folder / "bad.json", R"({"tokenizer": "none"})");
  expect_error(train({"--config", "bad.json"}), 2, "--tokenizer is 'none'");
  EXPECT_EQ(train({"--tokenizer", "characters", "--data", "names.txt", "--out", "plain", "--quiet"}).status, 0);
  EXPECT_EQ(load_run(folder / "plain").tokenizer.vocab_size(), 6);
}

}  // namespace
}  // namespace gradus::models
