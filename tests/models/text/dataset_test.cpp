// Datasets: everything once an epoch, nothing both trained on and held out, targets one step ahead, exact resume.
#include <gradus/models/text/dataset.h>

#include <algorithm>
#include <map>
#include <set>

#include "../helpers.h"

namespace gradus::models {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::words;

// The sequences of a batch as text, boundaries as line breaks: what goes in, and below what should come out.
std::vector<std::string> inputs(const Batch& batch, const CharTokenizer& tokenizer, bool targets = false) {
  std::vector<std::string> result;
  std::span<const std::int32_t> rest = targets ? batch.targets : batch.tokens;
  for (const Index length : batch.lengths) {
    result.push_back(tokenizer.decode(rest.first(static_cast<std::size_t>(length))));
    rest = rest.subspan(static_cast<std::size_t>(length));
  }
  EXPECT_TRUE(rest.empty());
  return result;
}

DocumentDataset documents(const std::vector<std::string>& lines, const DatasetOptions& options) {
  return {lines, CharTokenizer::from_documents(lines), options};
}

std::vector<std::string> held_out(const Dataset& data) {
  std::vector<std::string> result;
  Batch batch;
  for (Index i = 0; i < data.size(Part::held_out);) {
    i = data.read(Part::held_out, i, 16, batch);
    EXPECT_TRUE(batch.tokens.size() <= 16 || batch.lengths.size() == 1);
    for (auto& text : inputs(batch, data.tokenizer())) result.push_back(text.substr(1));
  }
  return result;
}

std::vector<std::string> epoch(Dataset& data, Index batch_size = 1) {
  std::vector<std::string> result;
  Batch batch;
  for (Index i = 0; i < data.size(Part::train); i += batch_size) {
    data.next(batch_size, batch);
    for (auto& text : inputs(batch, data.tokenizer())) result.push_back(text.substr(1));
  }
  return result;
}

TEST(DocumentDataset, EveryDocumentOnceAnEpochInANewOrder) {
  const auto lines = words(50);
  auto data = documents(lines, {.block_size = 16});
  EXPECT_EQ(data.size(Part::held_out), 5);
  EXPECT_EQ(data.size(Part::train), 45);
  auto first = epoch(data), second = epoch(data, 9);
  EXPECT_EQ(data.epoch(), 2);
  EXPECT_NE(first, second);
  std::ranges::sort(first);
  std::ranges::sort(second);
  EXPECT_EQ(first, second);

  auto all = first;
  std::ranges::copy(held_out(data), std::back_inserter(all));
  std::ranges::sort(all);
  auto sorted = lines;
  std::ranges::sort(sorted);
  EXPECT_EQ(all, sorted);
}

TEST(DocumentDataset, SplitAndOrderBelongToTheSeed) {
  const auto lines = words(50);
  auto a = documents(lines, {.block_size = 16, .seed = 1}), b = documents(lines, {.block_size = 16, .seed = 1});
  auto c = documents(lines, {.block_size = 16, .seed = 2});
  EXPECT_EQ(held_out(a), held_out(b));
  EXPECT_NE(held_out(a), held_out(c));
  EXPECT_EQ(epoch(a), epoch(b));
}

TEST(DocumentDataset, TargetsAreOneStepAheadAndEndWithTheBoundary) {
  const std::vector<std::string> lines{"abc", "b"};
  auto data = documents(lines, {.block_size = 8, .held_out = 0});
  Batch batch;
  data.next(2, batch);
  const auto in = inputs(batch, data.tokenizer()), out = inputs(batch, data.tokenizer(), true);
  EXPECT_THAT((std::map<std::string, std::string>{{in[0], out[0]}, {in[1], out[1]}}),
              (std::map<std::string, std::string>{{"\nabc", "abc\n"}, {"\nb", "b\n"}}));
  EXPECT_EQ(data.tokens(Part::train), 6);
}

TEST(DocumentDataset, LongDocumentsAreCutWithoutLoss) {
  const std::vector<std::string> lines{"abcdefghij", "xyz"};
  auto data = documents(lines, {.block_size = 4, .held_out = 0});
  EXPECT_EQ(data.num_cut(), 1);
  EXPECT_EQ(data.longest(), 11);
  EXPECT_EQ(data.size(Part::train), 4);
  Batch batch;
  data.read(Part::train, 0, 1000, batch);
  EXPECT_THAT(inputs(batch, data.tokenizer()), ElementsAre("\nab", "cdef", "ghij", "\nxyz"));
  EXPECT_THAT(inputs(batch, data.tokenizer(), true), ElementsAre("abc", "defg", "hij\n", "xyz\n"));
}

TEST(DocumentDataset, WhatIsAlikeIsHeldOutTogether) {
  std::vector<std::string> lines = words(40);
  const std::size_t distinct = std::set<std::string>(lines.begin(), lines.end()).size();
  for (int i = 0; i < 30; ++i) lines.push_back(lines[static_cast<std::size_t>(i % 7)]);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    auto data = documents(lines, {.block_size = 16, .held_out = 0.3, .seed = seed});
    EXPECT_EQ(data.num_copies(), static_cast<Index>(lines.size() - distinct));
    const auto judged = held_out(data), trained = epoch(data);
    EXPECT_EQ(judged.size() + trained.size(), lines.size());
    for (const std::string& one : judged) EXPECT_EQ(std::ranges::count(trained, one), 0) << one;
    const std::set<std::string> kinds(judged.begin(), judged.end());
    EXPECT_EQ(kinds.size(), static_cast<std::size_t>(std::round(0.3 * static_cast<double>(distinct))));
  }
  // As before: each by itself.
  auto leaking = documents(lines, {.block_size = 16, .held_out = 0.3, .seed = 1, .distinct = false});
  EXPECT_EQ(leaking.size(Part::held_out), std::lround(0.3 * static_cast<double>(lines.size())));
}

TEST(DocumentDataset, OtherDocumentsMayBeHeldOut) {
  const std::vector<std::string> lines{"anna", "bob", "anna"}, others{"bab", "bob"};
  const CharTokenizer tokenizer = CharTokenizer::from_documents(lines);
  DocumentDataset data(lines, others, tokenizer, {.block_size = 8});
  EXPECT_THAT(held_out(data), ElementsAre("bab", "bob"));
  EXPECT_THAT(epoch(data), ::testing::UnorderedElementsAre("anna", "bob", "anna"));
  EXPECT_EQ(data.num_leaked(), 1);
  EXPECT_TRUE(data.contains("bab"));
  EXPECT_FALSE(data.contains("nab"));
  EXPECT_FALSE(data.contains("zoe"));
  TextDataset text("0123456789", "98", CharTokenizer::from_text("0123456789"), {.block_size = 4});
  EXPECT_EQ(text.tokens(Part::held_out), 1);
  EXPECT_EQ(text.tokens(Part::train), 9);
}

TEST(DocumentDataset, KnowsItsDocuments) {
  const std::vector<std::string> lines{"anna", "bob"};
  const auto data = documents(lines, {.block_size = 8});
  EXPECT_TRUE(data.contains("bob"));
  EXPECT_FALSE(data.contains("bo"));
}

TEST(DocumentDataset, Mistakes) {
  const std::vector<std::string> one{"anna"};
  EXPECT_THAT(error_of([&] { documents(one, {.block_size = 8}); }), HasSubstr("only one document"));
  EXPECT_THAT(error_of([&] { documents({}, {.block_size = 8}); }), HasSubstr("no characters"));
  EXPECT_THAT(error_of([&] { documents(one, {.block_size = 0}); }), HasSubstr("block_size"));
  EXPECT_THAT(error_of([&] { documents(one, {.block_size = 8, .held_out = std::nan("")}); }), HasSubstr("held-out"));
  EXPECT_THAT(error_of([&] { DocumentDataset(one, CharTokenizer::from_text("an"), {.held_out = 0}); }),
              HasSubstr("no boundary"));
  const std::vector<std::string> other{"xy"};
  EXPECT_THAT(error_of([&] { DocumentDataset(one, CharTokenizer::from_documents(other), {.held_out = 0}); }),
              HasSubstr("document 1: character 1, 'a'"));
  auto judged = documents(words(5), {.block_size = 8, .held_out = 1});
  EXPECT_EQ(judged.size(Part::held_out), 5);
  Batch batch;
  EXPECT_THAT(error_of([&] { judged.next(1, batch); }), HasSubstr("nothing to train on"));
}

// 1000 characters of which any eight in a row are found in one place only.
std::string running_text() {
  std::string text;
  for (int i = 0; i < 250; ++i) text += fmt::format("{:04}", i * 37 % 1000);
  return text;
}

TEST(TextDataset, WindowsCoverTheTextSideBySide) {
  const std::string text = running_text();
  TextDataset data(text, CharTokenizer::from_text(text), {.block_size = 8, .seed = 3});
  std::set<std::size_t> offsets;
  for (int e = 0; e < 4; ++e) {
    Batch batch;
    data.next(1, batch);
    std::vector<std::size_t> places;
    for (;;) {
      EXPECT_THAT(batch.lengths, ElementsAre(8));
      const std::string in = data.tokenizer().decode(batch.tokens), out = data.tokenizer().decode(batch.targets);
      const std::size_t place = text.find(in);
      EXPECT_EQ(out, text.substr(place + 1, 8));
      places.push_back(place);
      const DatasetState state = data.state();
      data.next(1, batch);
      if (data.epoch() != e + 1) {
        data.set_state(state);
        break;
      }
    }
    EXPECT_FALSE(std::ranges::is_sorted(places));
    std::ranges::sort(places);
    EXPECT_LT(places.front(), 8U);
    EXPECT_GE(places.back() + 8 + 8, 899U);
    EXPECT_LE(places.back() + 8, 899U);  // the last target is the last character that is not held out
    for (std::size_t i = 1; i < places.size(); ++i) EXPECT_EQ(places[i], places[i - 1] + 8);
    offsets.insert(places.front());
  }
  EXPECT_GT(offsets.size(), 1U);
}

TEST(TextDataset, HoldsOutTheEndWhole) {
  const std::string text = running_text();
  const TextDataset data(text, CharTokenizer::from_text(text), {.block_size = 8});
  EXPECT_EQ(data.tokens(Part::held_out), 99);
  Batch batch;
  EXPECT_EQ(data.read(Part::held_out, 0, 1000, batch), data.size(Part::held_out));
  EXPECT_EQ(data.tokenizer().decode(batch.tokens), text.substr(900, 99));
  EXPECT_EQ(data.tokenizer().decode(batch.targets), text.substr(901));
  EXPECT_LE(*std::ranges::max_element(batch.lengths), 8);
}

TEST(TextDataset, TooShort) {
  const auto tokenizer = CharTokenizer::from_text("0123456789");
  const std::string text = running_text();
  EXPECT_THAT(error_of([&] { TextDataset(text.substr(0, 60), tokenizer, {.block_size = 64}); }),
              HasSubstr("54 characters"));
  EXPECT_THAT(error_of([&] { TextDataset(text.substr(0, 10), tokenizer, {.block_size = 4}); }),
              HasSubstr("at least 2"));
  TextDataset exact(text.substr(0, 9), tokenizer, {.block_size = 8, .held_out = 0});
  Batch batch;
  exact.next(3, batch);
  EXPECT_THAT(batch.lengths, ElementsAre(8, 8, 8));
}

// A tokenizer that counts how often it is asked.
class Counting : public ByteTokenizer {
 public:
  Counting(bool boundary, int& calls) : ByteTokenizer(boundary), boundary_(boundary), calls_(&calls) {}

 private:
  void add_tokens(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
                  const Progress& progress) const override {
    ++*calls_;
    ByteTokenizer(boundary_).encode(text, name, tokens, progress);
  }
  bool boundary_;
  int* calls_;
};

std::vector<std::int32_t> all_tokens(const Dataset& data) {
  const auto tokens = data.stream().tokens();
  return {tokens.begin(), tokens.end()};
}

TEST(Dataset, TokensOfATextAreKeptInAFile) {
  const testing::TempFolder folder;
  const std::filesystem::path file = folder.path() / "new" / "a.tokens";
  const std::string text = "to be or not to be, that is the question";
  const std::vector<std::string> lines{"ab", "c", "", "ab"}, others{"de"};
  int calls = 0;
  const DatasetOptions options{.block_size = 4, .token_file = file};
  const auto of_text = [&] { return TextDataset(text, "held out", Counting(false, calls), options); };
  const auto of_lines = [&] { return DocumentDataset(lines, others, Counting(true, calls), options); };

  const TextDataset first = of_text();
  EXPECT_EQ(calls, 2);
  EXPECT_FALSE(first.stream().was_kept());
  EXPECT_EQ(first.stream().problem(), "");
  const TextDataset second = of_text();
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(second.stream().was_kept());
  EXPECT_EQ(all_tokens(second), all_tokens(TextDataset(text, "held out", ByteTokenizer(false), {.block_size = 4})));
  EXPECT_EQ(second.tokens(Part::train), first.tokens(Part::train));
  EXPECT_EQ(second.tokens(Part::held_out), 7);

  of_lines();  // another source: the file is written anew
  EXPECT_EQ(calls, 7);
  const DocumentDataset kept = of_lines();
  EXPECT_EQ(calls, 7);
  EXPECT_EQ(kept.num_documents(), 5);
  EXPECT_EQ(all_tokens(kept), all_tokens(DocumentDataset(lines, others, ByteTokenizer(true), {.block_size = 4})));
  DocumentDataset(others, lines, Counting(true, calls), options);
  EXPECT_EQ(calls, 12);
  DocumentDataset(others, lines, Counting(true, calls), options);
  EXPECT_EQ(calls, 12);
}

TEST(Dataset, ADamagedTokenFileIsMadeAnew) {
  const testing::TempFolder folder;
  const std::filesystem::path file = folder.path() / "a.tokens";
  const DatasetOptions options{.block_size = 4, .token_file = file};
  const std::string text = "to be or not to be, that is the question";
  int calls = 0;
  const auto make = [&] { return TextDataset(text, Counting(false, calls), options); };
  const std::vector<std::int32_t> tokens = all_tokens(make());
  const std::string whole = testing::read(file);
  ASSERT_EQ(whole.size(), 64 + 4 * text.size());
  std::vector<std::string> damaged{"", whole.substr(0, 63), whole.substr(0, 64), whole.substr(0, whole.size() - 4),
                                   whole + "1234"};
  for (std::size_t i = 0; i < whole.size(); i += 5) {
    if (i >= 56 && i < 64) continue;  // unused
    damaged.push_back(whole);
    damaged.back()[i] ^= 1;
  }
  for (const std::string& bytes : damaged) {
    testing::write(file, bytes);
    const int before = calls;
    EXPECT_EQ(all_tokens(make()), tokens);
    EXPECT_GT(calls, before);
    EXPECT_EQ(testing::read(file), whole);
  }
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  const TextDataset without = make();
  EXPECT_EQ(all_tokens(without), tokens);
  EXPECT_THAT(without.stream().problem(), HasSubstr(file.string()));
}

TEST(Dataset, StateResumesExactly) {
  const auto lines = words(30);
  const std::string text = running_text();
  const auto run = [](Dataset& full, Dataset& resumed) {
    Batch expected, batch;
    EXPECT_EQ(full.state().epoch, 0);
    for (int i = 0; i < 23; ++i) {
      resumed.set_state(full.state());
      for (int k = 0; k < 3; ++k) {
        full.next(4, expected);
        resumed.next(4, batch);
        EXPECT_EQ(batch.tokens, expected.tokens);
        EXPECT_EQ(batch.lengths, expected.lengths);
      }
    }
  };
  auto a = documents(lines, {.block_size = 16}), b = documents(lines, {.block_size = 16});
  run(a, b);
  TextDataset c(text, CharTokenizer::from_text(text), {.block_size = 8}),
      d(text, CharTokenizer::from_text(text), {.block_size = 8});
  run(c, d);

  DatasetState state = a.state();
  state.position = 1000;
  EXPECT_THAT(error_of([&] { b.set_state(state); }), HasSubstr("sequence 1000"));
  state.generator = "nonsense";
  EXPECT_NE(error_of([&] { b.set_state(state); }), "");
}

}  // namespace
}  // namespace gradus::models
