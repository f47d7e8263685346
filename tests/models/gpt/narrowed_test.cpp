// A GPT whose matrices are narrow: its loss, what it draws, and what it refuses.
#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/generate/generate.h>
#include <gradus/models/text/text.h>
#include <gradus/models/train/evaluate.h>
#include <gradus/models/train/trainer.h>
#include <gradus/nn/files/safetensors.h>
#include <gradus/nn/summary.h>

#include "../helpers.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read;
using testing::TempFolder;

constexpr NarrowType types[] = {NarrowType::bf16, NarrowType::int8, NarrowType::int4};

// A model that has learned the bundled names for a moment.
struct Narrowed : ::testing::Test {
  static void SetUpTestSuite() {
    std::vector<std::string> lines = read_documents(GRADUS_SOURCE_DIR "/examples/data/names.txt");
    lines.resize(2000);
    data = std::make_unique<DocumentDataset>(lines, CharTokenizer::from_documents(lines),
                                             DatasetOptions{.block_size = 16, .held_out = 0.2, .seed = 5});
    manual_seed(9);
    model = std::make_unique<GPT>(GPTConfig{
        .vocab_size = data->tokenizer().vocab_size(), .block_size = 16, .n_layer = 2, .n_head = 2, .n_embd = 48});
    Trainer trainer(*model, *data, {.steps = 150, .batch_size = 32, .lr = 4e-3});
    for (int i = 0; i < 150; ++i) trainer.step();
  }
  static void TearDownTestSuite() {
    model.reset();
    data.reset();
  }
  static std::unique_ptr<DocumentDataset> data;
  static std::unique_ptr<GPT> model;
};
std::unique_ptr<DocumentDataset> Narrowed::data;
std::unique_ptr<GPT> Narrowed::model;

TEST_F(Narrowed, PredictsNearlyAsWell) {
  const double loss = evaluate(*model, *data).loss;
  EXPECT_LT(loss, 2.6);  // it has learned: a guess among all letters costs 3.3
  const double allowed[] = {0.0005, 0.01, 0.05};
  for (std::size_t i = 0; i < std::size(types); ++i) {
    GPT narrow = model->narrowed(types[i]);
    const double narrow_loss = evaluate(narrow, *data).loss;
    EXPECT_NE(narrow_loss, loss);
    EXPECT_NEAR(narrow_loss, loss, allowed[i]) << name_of(types[i]);
  }
}

TEST_F(Narrowed, LeavesTheModelAsItIs) {
  const std::vector<std::int32_t> tokens{1, 2, 3, 4};
  const NoGrad no_grad;
  const std::vector<double> before = (*model)(tokens, 1, 4).to_vector();
  const Index parameters = model->num_parameters();
  const GPT narrow = model->narrowed(NarrowType::int4);
  EXPECT_EQ((*model)(tokens, 1, 4).to_vector(), before);
  EXPECT_EQ(model->num_parameters(), parameters);
  EXPECT_TRUE(narrow.wte.weight.node_ptr() == model->wte.weight.node_ptr());
  EXPECT_FALSE(narrow.h[1].mlp.c_proj.weight.defined());
  EXPECT_FALSE(narrow.lm_head.weight.defined());
  EXPECT_EQ(narrow.lm_head.narrow_weight.shape(), model->lm_head.weight.shape());
  GPT in_place(*model);
  in_place.narrow(NarrowType::int4);
  EXPECT_EQ(in_place(tokens, 1, 4).to_vector(), narrow(tokens, 1, 4).to_vector());
}

TEST_F(Narrowed, AHeadOfItsOwnIsNarrowToo) {
  GPTConfig config = testing::small_config();
  config.tie_weights = false;
  const GPT narrow = GPT(config).narrowed(NarrowType::int8);
  EXPECT_EQ(narrow.lm_head.narrow_weight.shape(), (Shape{config.vocab_size, config.n_embd}));
  EXPECT_FALSE(narrow.lm_head.weight.defined());
}

// A sample is the same alone and among others and with any number of threads; in bf16 also without the cache, whose
// rounding errors may turn a whole number into its neighbour.
TEST_F(Narrowed, DrawsTheSameInEveryWay) {
  const std::vector<std::vector<std::int32_t>> prompts{{0, 5, 6}, {0}, {0, 7, 1, 2, 9}, {0, 3}, {0, 2}, {0, 5}};
  for (const NarrowType type : types) {
    GPT narrow = model->narrowed(type);
    const GenerateOptions options{.max_tokens = 30, .temperature = 0};
    const auto together = generate(narrow, prompts, options);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(generate(narrow, std::span(prompts[i]), options), together[i]) << name_of(type) << " " << i;
    }
    GenerateOptions whole = options;
    whole.use_cache = false;
    if (type == NarrowType::bf16) {
      EXPECT_EQ(generate(narrow, prompts, whole), together);
    }
    const gradus::testing::WithThreads use(3);
    EXPECT_EQ(generate(narrow, prompts, options), together) << name_of(type);
  }
}

TEST_F(Narrowed, CanBeNeitherTrainedNorSavedNorWidened) {
  const TempFolder folder;
  GPT narrow = model->narrowed(NarrowType::int8);
  const std::vector<std::int32_t> tokens{1, 2};
  EXPECT_THAT(error_of([&] { narrow(tokens, 1, 2); }), HasSubstr("narrow weights have no gradient"));
  EXPECT_THAT(error_of([&] { nn::save_safetensors(folder / "narrow", narrow); }),
              AllOf(HasSubstr("h.0.attn.c_attn.weight is in int8"), HasSubstr("save or average the module")));
  EXPECT_TRUE(folder.files().empty());
  EXPECT_THAT(error_of([&] { narrow.narrowed(NarrowType::bf16); }), HasSubstr("undefined"));
  GPT wide(testing::small_config());
  wide.to(DType::f64);
  EXPECT_THAT(error_of([&] { wide.narrowed(NarrowType::bf16); }), HasSubstr("to(DType::f32)"));
}

TEST_F(Narrowed, IsListed) {
  const std::string text = nn::summary(model->narrowed(NarrowType::bf16));
  EXPECT_THAT(text, AllOf(HasSubstr("weight (144, 48) in bf16, bias (144)"), HasSubstr("lm_head")));
}

}  // namespace
}  // namespace gradus::models
