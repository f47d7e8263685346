// The program gpt with a GPT-2 in Hugging Face's layout: from an export to a fine-tuned model and back.
#include <gradus/models/generate/generate.h>
#include <gradus/models/gpt/gpt2.h>
#include <gradus/models/train/checkpoint.h>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "command.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read;
using testing::Result;
using testing::write;

using Arguments = std::vector<std::string>;

// A small run, "run", and its export, "hf".
struct GPT2Command : testing::Command {
  void SetUp() override {
    ASSERT_EQ(train({"--out", "run", "--quiet", "--layers", "2"}).status, 0);
    ASSERT_EQ(gpt({"export", "run", "--to", "hf"}).status, 0);
    write(folder / "own.txt", "anna\nberta\ncarla\ndora\nemma\n");
  }
  Result tune(Arguments more) const {
    Arguments arguments{"train", "--init-from", "hf", "--data", "own.txt", "--steps", "4", "--quiet", "--lr", "0.01"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return gpt(arguments);
  }
  std::vector<std::vector<std::uint64_t>> weights(const std::string& run) const {
    std::vector<std::vector<std::uint64_t>> all;
    for (const Tensor& parameter : load_run(folder / run).model.parameters()) {
      all.push_back(gradus::testing::bits(parameter));
    }
    return all;
  }
};

TEST_F(GPT2Command, AnExportIsTheSameModel) {
  const Result exported = gpt({"export", "run", "--to", "new"});
  EXPECT_EQ(exported.status, 0) << exported.err;
  EXPECT_THAT(exported.out, AllOf(HasSubstr("exported to new: 2,"), HasSubstr("from_pretrained(\"new\")")));
  for (const Arguments& arguments : {Arguments{"sample", "--count", "5"},
                                     {"sample", "--temperature", "0", "--show-probs"},
                                     {"eval", "--data", "own.txt"}}) {
    Arguments of_run = arguments, of_export = arguments;
    of_run.insert(of_run.begin() + 1, "run"), of_export.insert(of_export.begin() + 1, "hf");
    const Result first = gpt(of_run), second = gpt(of_export);
    EXPECT_EQ(second.status, 0) << second.err;
    EXPECT_EQ(first.out, second.out);
    EXPECT_EQ(second.err, "");
  }
  EXPECT_EQ(gpt({"sample", "hf/model.safetensors"}).out, gpt({"sample", "hf"}).out);
  const Result info = gpt({"info", "hf"});
  EXPECT_EQ(info.status, 0) << info.err;
  EXPECT_THAT(info.out, AllOf(HasSubstr("2 layers, width 8"), HasSubstr("a GPT-2 from elsewhere"),
                              HasSubstr("attn.c_attn"), HasSubstr("memory")));
  EXPECT_EQ(gpt({"check", "hf", "--data", "own.txt", "--entries", "2"}).status, 0);

  ASSERT_EQ(gpt({"export", "hf", "--to", "again"}).status, 0);
  for (const char* const file : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    EXPECT_EQ(read(folder / "again" / file), read(folder / "hf" / file)) << file;
  }
  ASSERT_EQ(gpt({"export", "hf", "--to", "half", "--numbers", "bf16"}).status, 0);
  EXPECT_EQ(load_gpt2(folder / "half").storage, nn::Storage::bf16);
  ASSERT_EQ(gpt({"export", "hf", "--to", "wide", "--numbers", "f64"}).status, 0);
  EXPECT_EQ(load_gpt2(folder / "wide").model.dtype(), DType::f64);
}

TEST_F(GPT2Command, FineTuningGoesOnExactly) {
  struct Case {
    Arguments flags;
    bool whole, lora;
  };
  for (const auto& [flags, whole, lora] :
       {Case{{}, true, false},
        {{"--lora", "2"}, false, true},
        {{"--lora", "3", "--lora-alpha", "4", "--checkpoint-activations"}, false, true},
        {{"--train-last", "1"}, false, false},
        {{"--dropout", "0.3"}, true, false}}) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(flags, " ")));
    std::filesystem::remove_all(folder / "whole");
    std::filesystem::remove_all(folder / "parts");
    Arguments more = flags;
    more.insert(more.end(), {"--schedule", "constant", "--out", "whole"});
    const Result trained = tune(more);
    ASSERT_EQ(trained.status, 0) << trained.err;
    more.back() = "parts";
    more.insert(more.end(), {"--steps", "2"});
    Arguments first{"train", "--init-from", "hf", "--data", "own.txt", "--quiet", "--lr", "0.01"};
    first.insert(first.end(), more.begin(), more.end());
    ASSERT_EQ(gpt(first).status, 0);
    EXPECT_EQ(load_checkpoint(folder / "parts").model.config().lora_rank > 0, lora);
    EXPECT_NE(weights("parts"), weights("whole"));
    const Result resumed = gpt({"train", "--resume", "parts", "--steps", "4", "--quiet"});
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(weights("parts"), weights("whole"));
    EXPECT_EQ(load_run(folder / "whole").model.config().lora_rank, 0);  // merged

    // What was not to be trained is as it was.
    const GPT before = load_gpt2(folder / "hf").model, after = load_run(folder / "whole").model;
    EXPECT_EQ(gradus::testing::bits(before.wte.weight) == gradus::testing::bits(after.wte.weight), !whole);
    EXPECT_EQ(
        gradus::testing::bits(before.h[0].attn.c_attn.weight) == gradus::testing::bits(after.h[0].attn.c_attn.weight),
        !whole && !lora);
    EXPECT_NE(gradus::testing::bits(before.h[1].attn.c_attn.weight),
              gradus::testing::bits(after.h[1].attn.c_attn.weight));

    const Result exported = gpt({"export", "whole", "--to", "tuned", "--overwrite"});
    ASSERT_EQ(exported.status, 0) << exported.err;
    EXPECT_EQ(gpt({"sample", "tuned", "--count", "4"}).out, gpt({"sample", "whole", "--count", "4"}).out);
  }
  EXPECT_THAT(tune({"--lora", "2", "--out", "told"}).err, "");
  const Result told = gpt({"train", "--init-from", "hf", "--data", "own.txt", "--steps", "1", "--lora", "2"});
  EXPECT_THAT(told.out, AllOf(HasSubstr("additions of rank 2"), HasSubstr("rate 0.0003")));
  EXPECT_THAT(gpt({"train", "--init-from", "hf", "--data", "own.txt", "--steps", "1", "--train-last", "1"}).out,
              HasSubstr("of them trained: the last blocks"));
}

TEST_F(GPT2Command, NewCharactersAndAShorterContext) {
  write(folder / "greek.txt", "anna\nβeta\n");
  expect_error(gpt({"train", "--init-from", "hf", "--data", "greek.txt", "--steps", "1"}), 1, "do not know: β");
  const Result added = gpt({"train", "--init-from", "hf", "--data", "greek.txt", "--steps", "1", "--unknown", "add",
                            "--context", "16", "--lora", "2", "--out", "greek"});
  EXPECT_EQ(added.status, 0) << added.err;
  const models::Run run = load_run(folder / "greek");
  EXPECT_EQ(run.model.config().vocab_size, load_gpt2(folder / "hf").model.config().vocab_size + 1);
  EXPECT_EQ(run.model.config().block_size, 16);
}

TEST_F(GPT2Command, DropoutsAreTheFilesOrTheFlags) {
  auto config = nlohmann::json::parse(read(folder / "hf/config.json"));
  config["attn_pdrop"] = 0.2, config["embd_pdrop"] = 0.3, config["resid_pdrop"] = 0.4;
  write(folder / "hf/config.json", config.dump());
  ASSERT_EQ(tune({"--out", "a"}).status, 0);
  GPTConfig tuned = load_run(folder / "a").model.config();
  EXPECT_EQ(tuned.dropout, 0.4);
  EXPECT_EQ(tuned.embd_dropout, 0.3);
  EXPECT_EQ(tuned.attn_dropout, 0);  // only where a flag says so
  ASSERT_EQ(tune({"--out", "b", "--dropout", "0.1"}).status, 0);
  tuned = load_run(folder / "b").model.config();
  EXPECT_EQ(tuned.dropout, 0.1);
  EXPECT_EQ(tuned.embd_dropout.value_or(tuned.dropout), 0.1);
  EXPECT_EQ(tuned.attn_dropout, 0.1);
}

// Files often have more rows than the tokenizer has tokens.
TEST_F(GPT2Command, RowsWithoutATokenAreLeftOutAndTold) {
  const GPT2 loaded = load_gpt2(folder / "hf");
  GPTConfig padded = loaded.model.config();
  padded.vocab_size += 5;
  GPT wide(padded);
  save_gpt2(folder / "padded", wide, loaded.tokenizer);
  const Result sampled = gpt({"sample", "padded", "--count", "2"});
  EXPECT_EQ(sampled.status, 0);
  EXPECT_THAT(sampled.err, HasSubstr(fmt::format("gpt: note: the model has {} tokens, its tokenizer {};",
                                                 padded.vocab_size, padded.vocab_size - 5)));
}

// GPT-2's form with GPT-2's kind of tokenizer, whose <|endoftext|> is no boundary of documents.
TEST_F(GPT2Command, RunningTextIsSampledAsItIs) {
  const BPETokenizer tokenizer = BPETokenizer::train("the cat sat on the mat\n", 262).with_boundary(true);
  manual_seed(3);
  const auto saved = [&](const char* name, const AnyTokenizer& its) {
    const GPT model({.vocab_size = its.vocab_size(), .block_size = 16, .n_layer = 1, .n_head = 2, .n_embd = 8});
    save_gpt2(folder / name, model, its);
    return load_gpt2(folder / name);
  };
  GPT2 text = saved("text", tokenizer.with_boundary(false));
  EXPECT_FALSE(text.tokenizer->has_boundary());
  EXPECT_EQ(text.tokenizer->end_token(), tokenizer.boundary());
  EXPECT_TRUE(saved("lines", tokenizer).tokenizer->has_boundary());

  // One text, from the prompt's own tokens and with its white space.
  const std::string prompt = " the\n";
  const auto drawn = generate(text.model, text.tokenizer->encode(prompt),
                              {.max_tokens = 8, .temperature = 0, .stop = text.tokenizer->end_token()});
  const Result one = gpt({"sample", "text", "--prompt", prompt, "--max-tokens", "8", "--temperature", "0"});
  EXPECT_EQ(one.out, prompt + valid_utf8(text.tokenizer->decode(drawn)) + "\n");
  const std::vector<std::int32_t> end{*text.tokenizer->end_token()};
  const auto from_end = generate(text.model, end, {.max_tokens = 8, .temperature = 0, .stop = end.front()});
  EXPECT_EQ(gpt({"sample", "text", "--max-tokens", "8", "--temperature", "0"}).out,
            valid_utf8(text.tokenizer->decode(from_end)) + "\n");
  const Result lines = gpt({"sample", "lines", "--max-tokens", "8"});
  EXPECT_GE(std::ranges::count(lines.out, '\n'), 20);
  EXPECT_THAT(gpt({"eval", "lines", "--data", "own.txt"}).out, Not(HasSubstr("window")));

  std::string long_enough;
  for (int i = 0; i < 20; ++i) long_enough += read(folder / "own.txt");
  write(folder / "own.txt", long_enough);
  // What was learned from lines becomes running text, and the other way.
  for (const auto& [from, format] : {std::pair{"lines", "text"}, {"text", "lines"}}) {
    ASSERT_EQ(gpt({"train", "--init-from", from, "--data", "own.txt", "--format", format, "--context", "8", "--steps",
                   "1", "--quiet", "--out", std::string("as_") + format})
                  .status,
              0);
    EXPECT_EQ(load_run(folder / (std::string("as_") + format)).tokenizer.has_boundary(),
              std::string(format) == "lines");
  }
  ASSERT_EQ(train({"--tokenizer", "bytes", "--format", "text", "--data", "own.txt", "--context", "8", "--out", "bytes",
                   "--quiet"})
                .status,
            0);
  const Result documents = gpt({"train", "--init-from", "bytes/model.safetensors", "--data", "own.txt", "--format",
                                "lines", "--steps", "1", "--quiet", "--out", "documents"});
  EXPECT_EQ(documents.status, 0) << documents.err;
  EXPECT_EQ(load_run(folder / "documents").tokenizer.vocab_size(), 257);
}

// "han" of two jamo, and the ends of lines of another system, are learned as one syllable and as "\n".
TEST_F(GPT2Command, PromptsAreReadAsTheDataWere) {
  std::string korean;
  for (int i = 0; i < 20; ++i) korean += "\ud55c\uae00\n\ud55c\uad6d\n\ud55c\uac15\n";
  write(folder / "korean.txt", korean);
  ASSERT_EQ(train({"--tokenizer", "bpe:260", "--format", "text", "--data", "korean.txt", "--context", "4", "--out",
                   "korean", "--quiet"})
                .status,
            0);
  const auto probabilities = [&](const std::string& prompt) {
    write(folder / "prompt.txt", prompt);
    return gpt({"sample", "korean", "--prompt-file", "prompt.txt", "--show-probs", "--max-tokens", "3"}).out;
  };
  EXPECT_EQ(probabilities("\u1112\u1161\u11ab\r\n\ud55c"), probabilities("\ud55c\n\ud55c"));
}

TEST_F(GPT2Command, AnExportLeavesNothingOfAnEarlierOne) {
  ASSERT_EQ(train({"--tokenizer", "bpe:260", "--out", "pieces", "--quiet"}).status, 0);
  ASSERT_EQ(gpt({"export", "pieces", "--to", "target"}).status, 0);
  EXPECT_TRUE(std::filesystem::exists(folder / "target/merges.txt"));
  // Python's files of characters, read by all that reads a tokenizer.
  ASSERT_EQ(gpt({"export", "run", "--to", "target", "--overwrite"}).status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "target/merges.txt"));
  EXPECT_FALSE(std::filesystem::exists(folder / "target/vocab.json"));
  EXPECT_EQ(AnyTokenizer::load(folder / "target"), load_run(folder / "run").tokenizer);
  write(folder / "name.txt", "anna");
  EXPECT_EQ(gpt({"tokenize", "show", "--tokenizer", "target", "--data", "name.txt"}).status, 0);
  std::filesystem::remove(folder / "hf/tokenizer.json");
  ASSERT_EQ(gpt({"export", "hf", "--to", "target", "--overwrite"}).status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "target/tokenizer.json"));
  EXPECT_FALSE(load_gpt2(folder / "target").tokenizer.has_value());

  // One that fails changes nothing that names the model.
  const std::string before = read(folder / "target/config.json");
  GPT large = load_gpt2(folder / "hf").model;
  large.wte.weight.data<float>()[0] = 1e6F;
  save_gpt2(folder / "large", large);
  EXPECT_EQ(gpt({"export", "large", "--to", "target", "--overwrite", "--numbers", "f16"}).status, 1);
  EXPECT_EQ(read(folder / "target/config.json"), before);
  EXPECT_EQ(gpt({"export", "large", "--to", "fresh", "--numbers", "f16"}).status, 1);
  EXPECT_FALSE(std::filesystem::exists(folder / "fresh/config.json"));
}

TEST_F(GPT2Command, ADamagedConfigurationIsNamed) {
  for (const char* const content : {"", "{", "[1]"}) {
    write(folder / "hf/config.json", content);
    for (const Result& result : {gpt({"sample", "hf"}), gpt({"train", "--init-from", "hf", "--data", "own.txt"})}) {
      expect_error(result, 1, "config.json");
    }
  }
  std::filesystem::remove(folder / "hf/config.json");
  expect_error(gpt({"sample", "hf"}), 1, "which says the sizes of");
  write(folder / "run/config.json", "{");  // a run has a copy in its model
  EXPECT_EQ(gpt({"sample", "run"}).status, 0);
}

TEST_F(GPT2Command, NarrowWeightsOfAModelInF64) {
  ASSERT_EQ(gpt({"export", "hf", "--to", "wide", "--numbers", "f64"}).status, 0);
  EXPECT_EQ(gpt({"sample", "wide", "--weights", "int8"}).out, gpt({"sample", "hf", "--weights", "int8"}).out);
}

TEST_F(GPT2Command, WeightsOfMoreBlocksAreRefused) {
  nlohmann::json config = nlohmann::json::parse(read(folder / "hf/config.json"));
  config["n_layer"] = 1;
  write(folder / "hf/config.json", config.dump());
  expect_error(gpt({"sample", "hf"}), 1, "beyond what config.json beside it asks for (1 blocks)");
}

TEST_F(GPT2Command, WhatCannotBeDoneIsSaid) {
  expect_error(gpt({"eval", "hf"}), 1, "'hf' does not say what it has learned from; name a text with --data");
  expect_error(gpt({"sample", "hf", "--best"}), 1, "'hf' is no run, so it has no best model");
  expect_error(gpt({"export", "run"}), 2, "gpt export needs --to OUT");
  for (const char* const model : {"run", "run/model.safetensors", "hf/model.safetensors"}) {
    const std::string own = std::filesystem::path(model).begin()->string();
    expect_error(gpt({"export", model, "--to", own, "--overwrite"}), 2, "--to is the folder of the model itself");
  }
  expect_error(gpt({"export", "run", "--to", "hf"}), 1, "choose a new or empty folder, or replace what a model needs");
  EXPECT_EQ(gpt({"export", "run", "--to", "hf", "--overwrite"}).status, 0);
  ASSERT_EQ(gpt({"train", "--preset", "microgpt", "--steps", "1", "--out", "micro", "--quiet"}).status, 0);
  expect_error(gpt({"export", "micro", "--to", "x"}), 1, "its norms are RMSNorms, and GPT-2 has LayerNorms");
  expect_error(gpt({"export", "hf", "--to", "micro"}), 1, "'micro' holds a run, which stays as it is");
  expect_error(gpt({"train", "--lora", "2"}), 2, "--lora trains a part of a model that has learned");
  expect_error(gpt({"train", "--train-last", "2"}), 2, "--train-last trains a part");
  expect_error(tune({"--lora", "2", "--train-last", "1"}), 2, "leave one out");
  expect_error(tune({"--lora-alpha", "2"}), 2, "--lora-alpha scales what --lora adds");
  expect_error(tune({"--lora", "9"}), 2, "--lora is 9, but a rank is at most the model's width, 8");
  expect_error(tune({"--train-last", "3"}), 2, "--train-last is 3, the model has 2 blocks");
  expect_error(gpt({"train", "--preset", "finetune", "--data", "own.txt"}), 2, "name them with --init-from");
  ASSERT_EQ(tune({"--lora", "2", "--out", "tuned"}).status, 0);
  expect_error(gpt({"train", "--resume", "tuned", "--lora", "3"}), 1, "--lora cannot change");
  std::filesystem::remove(folder / "hf/tokenizer.json");
  expect_error(gpt({"sample", "hf"}), 1, "'hf' has no tokenizer that can be read");
  EXPECT_THAT(gpt({"info", "hf"}).out, HasSubstr("without a tokenizer"));
  EXPECT_THAT(gpt({"export", "hf", "--to", "bare"}).out, HasSubstr("so none was written"));
  EXPECT_EQ(read(folder / "bare/model.safetensors"), read(folder / "hf/model.safetensors"));
  std::filesystem::remove(folder / "hf/model.safetensors");
  write(folder / "hf/pytorch_model.bin", "PK");
  for (const char* const path : {"hf", "hf/pytorch_model.bin"}) {
    expect_error(gpt({"sample", path}), 1, "may run any code");
    expect_error(gpt({"train", "--init-from", path, "--data", "own.txt"}), 1, "may run any code");
  }
}

}  // namespace
}  // namespace gradus::models
