// Files: what is saved comes back bit for bit, what is damaged or hostile is an Error, and no failure harms an old
// file.
#include <gradus/nn/files/safetensors.h>

#include <gradus/nn/files/detail/half.h>
#include <gradus/nn/layers/batch_norm.h>
#include <gradus/nn/layers/embedding.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/layers/mlp.h>
#include <gradus/nn/layers/sequential.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <limits>
#include <tuple>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_contains;
using testing::names_of;
using testing::TempFolder;
using Names = std::vector<std::string>;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// A safetensors file of any header and data, right or wrong.
std::string raw(const std::string& header, const std::string& data) {
  const std::uint64_t size = header.size();
  std::string text(8, '\0');
  std::memcpy(text.data(), &size, 8);
  return text + header + data;
}

std::string read_error(const std::string& text) {
  const TempFolder folder;
  const std::string path = folder / "bad.safetensors";
  write_file(path, text);
  std::string message = error_of([&] { read_tensors(path); });
  expect_contains(message, path);
  return message;
}

TEST(Safetensors, TensorsComeBackBitForBit) {
  const TempFolder folder;
  const std::string path = folder / "t";
  const NamedTensors saved{{"a", randn({2, 3})},
                           {"wide", randn({3}, DType::f64)},
                           {"number", tensor(-0.0)},
                           {"empty", zeros({0, 4})},
                           {"이름 \"quoted\"\n", tensor({std::numeric_limits<float>::quiet_NaN(), 1e-45})}};
  save_tensors(path, saved, {{"format", "pt"}, {"k", "ü"}});
  const TensorFile file = read_tensors(path);
  EXPECT_EQ(file.metadata, (Metadata{{"format", "pt"}, {"k", "ü"}}));
  ASSERT_EQ(file.tensors.size(), saved.size());
  EXPECT_EQ(file.tensors[0].first, "wide");  // first in the file, so that its data are aligned
  for (const auto& entry : saved) {
    const auto found = std::ranges::find(file.tensors, entry.first, &NamedTensors::value_type::first);
    ASSERT_NE(found, file.tensors.end()) << entry.first;
    EXPECT_EQ(found->second.shape(), entry.second.shape());
    EXPECT_EQ(found->second.dtype(), entry.second.dtype());
    EXPECT_EQ(bits(found->second), bits(entry.second));
  }
  EXPECT_EQ(folder.files(), Names{"t"});
}

TEST(Safetensors, TheBytesAreTheFormats) {
  const TempFolder folder;
  save_tensors(folder / "t", {{"x", tensor({1, 2}, {2, 1})}}, {{"a", "b"}});
  // The checksums are of what the header says and of x.
  const std::string header = R"({"__metadata__":{"a":"b","checksum":"46037d55cd93ed2d e387b604eeb46dd6"},)"
                             R"("x":{"data_offsets":[0,8],"dtype":"F32","shape":[2,1]}})";
  const std::string text = contents(folder / "t");
  EXPECT_EQ(static_cast<unsigned char>(text[0]), (header.size() + 7) / 8 * 8);
  EXPECT_EQ(text.substr(1, 7), std::string(7, '\0'));
  EXPECT_EQ(text.substr(8, header.size()), header);
  EXPECT_EQ(text.size() % 8, 0U);
  EXPECT_EQ(text.substr(text.size() - 8), std::string("\0\0\x80\x3f\0\0\0\x40", 8));
}

TEST(Safetensors, AnyChangedByteIsFound) {
  const TempFolder folder;
  save_tensors(folder / "t", {{"x", tensor({1, 2}, {2, 1})}, {"y", tensor({3}, DType::f64)}}, {{"a", "b"}});
  const std::string good = contents(folder / "t");
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      testing::write(folder / "t", bad);
      const std::string error = testing::error_if_any([&] { read_tensors(folder / "t"); });
      // Only padding means nothing, and with the entry by another name the file is one without checksums.
      const std::size_t entry = good.find("checksum");
      const bool unchecked = good[i] == ' ' || (i >= entry && i < entry + std::string("checksum").size());
      EXPECT_TRUE(!error.empty() || unchecked) << i;
      if (i >= good.size() - 16) expect_contains(error, i < good.size() - 8 ? "tensor 'y'" : "tensor 'x'");
    }
  }
}

// As PyTorch saves a network with a BatchNorm: a whole number stands in the middle of the data.
TEST(Safetensors, TensorsOfWholeNumbersArePassedBy) {
  const TempFolder folder;
  const std::string path = folder / "t";
  const auto save = [&](const std::string& count_name) {
    const std::string header = R"({"0.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                               R"("0.bias":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},")" +
                               count_name +
                               R"(":{"dtype":"I64","shape":[],"data_offsets":[8,16]},)"
                               R"("0.running_mean":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},)"
                               R"("0.running_var":{"dtype":"F32","shape":[1],"data_offsets":[20,24]}})";
    std::string data(24, '\x7f');
    const float numbers[] = {1, 2, 3, 4};
    std::memcpy(data.data(), numbers, 8);
    std::memcpy(data.data() + 16, numbers + 2, 8);
    write_file(path, raw(header, data));
  };
  save("0.num_batches_tracked");
  EXPECT_EQ(read_tensors(path).skipped, (std::map<std::string, std::string>{{"0.num_batches_tracked", "I64"}}));
  const Sequential net{BatchNorm1d(1)};
  EXPECT_TRUE(load_safetensors(path, net).unexpected.empty());
  const BatchNorm1d& norm = dynamic_cast<const BatchNorm1d&>(net[0]);
  EXPECT_EQ(norm.weight.item() + 10 * norm.bias.item(), 21);
  EXPECT_EQ(norm.running_mean.item() + 10 * norm.running_var.item(), 43);
  EXPECT_EQ(load_safetensors(path, net, {.strict = false}).unexpected, Names{"0.num_batches_tracked"});
  save("0.ids");
  expect_contains(error_of([&] { load_safetensors(path, net); }), "1 unexpected: 0.ids");
  EXPECT_EQ(load_safetensors(path, net, {.strict = false}).unexpected, Names{"0.ids"});
  write_file(path, raw(R"({"weight":{"dtype":"I32","shape":[1,1],"data_offsets":[0,4]}})", "1234"));
  expect_contains(error_of([&] { load_safetensors(path, Linear(1, 1, {.bias = false}), {.strict = false}); }),
                  "module; 1 that do not fit: weight is I32 and should be f32");
}

TEST(Safetensors, SixteenBitsAreReadAsF32) {
  const TempFolder folder;
  // 1, -2, the smallest, infinity, and NaN; of BF16 pi's first bits too.
  const std::uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7c00, 0x7e00}, brains[] = {0x3f80, 0xc000, 0x4049};
  std::string data(16, '\0');
  std::memcpy(data.data(), halves, 10);
  std::memcpy(data.data() + 10, brains, 6);
  write_file(folder / "t", raw(R"({"h":{"dtype":"F16","shape":[5],"data_offsets":[0,10]},)"
                               R"("b":{"dtype":"BF16","shape":[3,1],"data_offsets":[10,16]}})",
                               data));
  const TensorFile file = read_tensors(folder / "t");
  EXPECT_EQ(file.narrow, (std::map<std::string, std::string>{{"h", "F16"}, {"b", "BF16"}}));
  ASSERT_EQ(names_of(file.tensors), (Names{"h", "b"}));
  const std::vector<double> h = file.tensors[0].second.to_vector(), b = file.tensors[1].second.to_vector();
  EXPECT_EQ(file.tensors[0].second.dtype(), DType::f32);
  EXPECT_EQ(std::vector<double>(h.begin(), h.begin() + 4),
            (std::vector<double>{1, -2, 0x1p-24, std::numeric_limits<double>::infinity()}));
  EXPECT_TRUE(std::isnan(h[4]));
  EXPECT_EQ(b, (std::vector<double>{1, -2, 3.140625}));
  EXPECT_EQ(file.tensors[1].second.shape(), (Shape{3, 1}));
}

// Every number of 16 bits comes back, what lies between two goes to the nearer, from the middle to the even one.
TEST(Safetensors, SixteenBitsAreWrittenRounded) {
  const TempFolder folder;
  const std::string path = folder / "t";
  for (const auto& [storage, type, widened] :
       {std::tuple{Storage::f16, "F16", &detail::half_to_float}, {Storage::bf16, "BF16", &detail::bfloat16_to_float}}) {
    SCOPED_TRACE(type);
    std::vector<float> all;
    for (std::uint32_t i = 0; i < 0x10000; ++i) all.push_back(widened(static_cast<std::uint16_t>(i)));
    const Tensor x = Tensor::empty({0x10000});
    std::ranges::copy(all, x.data<float>().begin());
    save_tensors(path, {{"x", x}, {"empty", zeros({0})}}, {{"a", "b"}}, {.storage = storage});
    const TensorFile file = read_tensors(path);  // its checksums are right too
    EXPECT_EQ(file.narrow.at("x"), type);
    EXPECT_EQ(file.metadata, (Metadata{{"a", "b"}}));
    EXPECT_EQ(bits(file.tensors[file.tensors[0].first == "x" ? 0 : 1].second), bits(x));
    EXPECT_LT(std::filesystem::file_size(path), 0x20000 + 400U);

    std::vector<double> between, expected;
    for (std::uint32_t i = 0; i < (storage == Storage::f16 ? 0x7bffU : 0x7f7fU); i += 7) {
      const double low = all[i], high = all[i + 1], even = i % 2 == 0 ? low : high;
      for (const auto& [part, nearest] : {std::pair{0.25, low}, {0.5, even}, {0.75, high}}) {
        const auto value = static_cast<float>(low + part * (high - low));
        if (static_cast<double>(value) != low + part * (high - low)) continue;  // f32 ends there
        between.push_back(value), expected.push_back(nearest);
        between.push_back(-value), expected.push_back(-nearest);
      }
    }
    EXPECT_GT(between.size(), 10'000U);
    save_tensors(path, {{"x", tensor(between)}}, {}, {.storage = storage});
    EXPECT_EQ(read_tensors(path).tensors[0].second.to_vector(), expected);
  }
  save_tensors(path, {{"x", tensor({65519.0, 1.0 / 3}, DType::f64)}}, {}, {.storage = Storage::f16});
  EXPECT_EQ(read_tensors(path).tensors[0].second.to_vector(), (std::vector<double>{65504, 0.333251953125}));
  const std::string before = contents(path);
  expect_contains(error_of([&] {
                    save_tensors(path, {{"x", tensor({65520.0})}}, {}, {.storage = Storage::f16});
                  }),
                  "'x' holds 65520, more than F16 can; choose BF16");
  EXPECT_EQ(contents(path), before);
}

// An index and two files, and what may be wrong with them.
struct Shards : ::testing::Test {
  Shards() {
    save_tensors(folder / "one", {{"a", ones({2})}, {"b", ones({1})}}, {{"who", "one"}});
    save_tensors(folder / "two", {{"c", zeros({3})}});
  }
  void index(const std::string& map) const {
    write_file(path, R"({"metadata": {"total_size": 24}, "weight_map": )" + map + "}");
  }
  std::string error() const {
    std::string message = error_of([&] { read_tensors(path); });
    expect_contains(message, "read: '");
    return message;
  }

  const TempFolder folder;
  const std::string path = folder / "model.safetensors.index.json";
  const std::string good = R"({"a": "one", "b": "one", "c": "two"})";
};

TEST_F(Shards, AreReadAsOneFile) {
  index(good);
  const TensorFile file = read_tensors(path);
  EXPECT_EQ(names_of(file.tensors), (Names{"a", "b", "c"}));
  EXPECT_EQ(file.metadata, (Metadata{{"who", "one"}}));
  std::filesystem::rename(path, folder / "model.safetensors");  // in the place of weights it is a mistake
  expect_contains(error_of([&] { read_tensors(folder / "model.safetensors"); }), "it is an index of several files");
}

TEST_F(Shards, WhatIsWrongIsSaid) {
  struct Case {
    std::string map, message;
  };
  for (const auto& [map, message] :
       {Case{R"({"a": "one", "b": "one", "c": "two", "d": "two"})", "'two' should have 'd', and has not"},
        {R"({"a": "one", "c": "two"})", "'one' has 'b', which is not said there"},
        {R"({"a": "one", "b": "two", "c": "two"})", "'one' has 'b', which is not said there"},
        {R"({"a": "one", "b": "one", "c": "three"})", "it names 'three', which is not beside it"},
        {R"({"a": "../one"})", "must lie beside the index"},
        {R"({"a": "/etc/passwd"})", "must lie beside the index"},
        {R"({"a": "x\\y"})", "must lie beside the index"},
        {R"({"a": "one\u0000"})", "must lie beside the index"},
        {R"({"a": ".."})", "must lie beside the index"},
        {R"({"a": ""})", "must lie beside the index"},
        {R"({"a": 1})", "is not a text"},
        {R"({"a": "one", "a": "two"})", "it names 'a' twice"},
        {R"({"a": "."})", "must lie beside the index"},
        {R"({"a": "model.safetensors.index.json"})", "it is an index of several files"},
        {"{}", "no \"weight_map\""},
        {"[]", "no \"weight_map\""},
        {"1", "no \"weight_map\""},
        {std::string(100, '['), "nested too deeply"},
        {R"({"a": "one")", "not proper JSON"}}) {
    index(map);
    expect_contains(error(), message);
  }
  save_tensors(folder / "two", {{"c", zeros({3})}, {"a", zeros({2})}});
  index(good);
  expect_contains(error(), "both 'one' and 'two' have 'a'");
  testing::write(folder / "two", contents(folder / "one").substr(0, 100));
  expect_contains(error(), "two'");
  for (std::size_t size = 0; size < contents(path).size(); size += 3) {
    testing::write(folder / "cut.index.json", contents(path).substr(0, size));
    error_of([&] { read_tensors(folder / "cut.index.json"); });
  }
  std::filesystem::remove(path);
  expect_contains(error(), "no such file");
}

TEST(Safetensors, MetadataAreReadWithoutTheData) {
  const TempFolder folder;
  const Metadata metadata{{"step", "7"}};
  save_tensors(folder / "t", {{"x", tensor({1, 2}, {2, 1})}}, metadata);
  const std::string good = contents(folder / "t");
  EXPECT_EQ(read_metadata(folder / "t"), metadata);
  const auto change = [&](std::size_t place) {
    std::string bad = good;
    bad[place] ^= 1;
    write_file(folder / "t", bad);
  };
  change(good.size() - 1);  // in the data
  EXPECT_EQ(read_metadata(folder / "t"), metadata);
  change(good.find(R"("7")") + 1);
  expect_contains(error_of([&] { read_metadata(folder / "t"); }), "its header does not match its checksum");
  write_file(folder / "t", good.substr(0, good.size() - 1));
  expect_contains(error_of([&] { read_metadata(folder / "t"); }), "it is cut off or damaged");
}

TEST(Safetensors, AnEmptyListIsAFile) {
  const TempFolder folder;
  save_tensors(folder / "t", {});
  EXPECT_TRUE(read_tensors(folder / "t").tensors.empty());
}

TEST(Safetensors, WhatCannotBeSavedIsAnError) {
  const TempFolder folder;
  const Tensor x = ones({1});
  expect_contains(error_of([&] { save_tensors(folder / "t", {{"x", x}, {"x", x}}); }), "'x'");
  error_of([&] { save_tensors(folder / "t", {{"__metadata__", x}}); });
  error_of([&] { save_tensors(folder / "t", {{"\xff", x}}); });
  error_of([&] { save_tensors(folder / "t", {{"x", Tensor()}}); });
  EXPECT_TRUE(folder.files().empty());
}

TEST(Safetensors, AModuleComesBack) {
  const TempFolder folder;
  const MLP a(3), b(3);
  save_safetensors(folder / "m", a);
  const auto handle = b.c_fc.weight;
  const LoadReport report = load_safetensors(folder / "m", b);
  EXPECT_TRUE(report.missing.empty());
  EXPECT_TRUE(report.unexpected.empty());
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(bits(b.parameters()[i]), bits(a.parameters()[i]));
  EXPECT_EQ(bits(handle), bits(a.c_fc.weight));  // in place
  EXPECT_TRUE(b.c_fc.weight.requires_grad());
}

TEST(Safetensors, TypesAreConverted) {
  const TempFolder folder;
  const Linear single(2, 2), wide(2, 2, {.dtype = DType::f64}), other(2, 2);
  save_safetensors(folder / "f32", single);
  load_safetensors(folder / "f32", wide);
  EXPECT_EQ(bits(wide.weight), bits(single.weight));
  EXPECT_EQ(wide.weight.dtype(), DType::f64);
  save_safetensors(folder / "f64", wide);
  load_safetensors(folder / "f64", other);
  EXPECT_EQ(bits(other.weight), bits(single.weight));
  EXPECT_EQ(other.weight.dtype(), DType::f32);
}

struct Tied : Module {
  Tied() { lm_head.weight = wte.weight; }
  void members(Visitor& visit) const override {
    visit("wte", wte);
    visit("lm_head", lm_head);
    visit.buffer("mean", mean);
  }
  Embedding wte{3, 2};
  Linear lm_head{2, 3, {.bias = false}};
  Tensor mean = ones({2});
};

TEST(Safetensors, ATiedWeightIsSavedOnceAndFoundUnderEitherName) {
  const TempFolder folder;
  const Tied a, b;
  a.mean.fill_(5);
  save_safetensors(folder / "m", a);
  EXPECT_EQ(names_of(read_tensors(folder / "m").tensors), (Names{"wte.weight", "mean"}));
  load_safetensors(folder / "m", b);
  EXPECT_EQ(bits(b.lm_head.weight), bits(a.wte.weight));
  EXPECT_EQ(bits(b.mean), bits(a.mean));
  EXPECT_EQ(b.lm_head.weight.node_ptr(), b.wte.weight.node_ptr());

  const Tensor x = randn({3, 2});
  save_tensors(folder / "m", {{"lm_head.weight", x}, {"mean", ones({2})}});  // as safetensors.torch.save_model may
  load_safetensors(folder / "m", b);
  EXPECT_EQ(bits(b.wte.weight), bits(x));
  save_tensors(folder / "m", {{"lm_head.weight", x}, {"mean", ones({2})}, {"wte.weight", x}});
  load_safetensors(folder / "m", b);
  save_tensors(folder / "m", {{"lm_head.weight", x}, {"mean", ones({2})}, {"wte.weight", x + 1.0}});
  expect_contains(error_of([&] { load_safetensors(folder / "m", b); }), "are one tensor here");
  EXPECT_EQ(bits(b.wte.weight), bits(x));
}

TEST(Safetensors, LoadingIsAllOrNothingAndListsEverything) {
  const TempFolder folder;
  const std::string path = folder / "m";
  NamedTensors saved{{"0.weight", ones({2, 3})}, {"1.weight", ones({2, 2})}};
  for (int i = 0; i < 7; ++i) saved.emplace_back(fmt::format("extra.{}", i), ones({1}));
  save_tensors(path, saved);
  const Sequential net(Linear(3, 2), Linear(2, 3));
  std::vector<std::vector<std::uint64_t>> before;
  for (const Tensor& param : net.parameters()) before.push_back(bits(param));
  const auto expect_unchanged = [&] {
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(bits(net.parameters()[i]), before[i]) << i;
  };

  const std::string message = error_of([&] { load_safetensors(path, net); });
  expect_contains(message, path);
  expect_contains(message, "2 missing: 0.bias, 1.bias");
  expect_contains(message, "7 unexpected: extra.0, extra.1, extra.2, extra.3, extra.4 and 2 more");
  expect_contains(message, "1.weight is (2, 2) and should be (3, 2)");
  expect_unchanged();
  const std::string loose = error_of([&] { load_safetensors(path, net, {.strict = false}); });
  expect_contains(loose, "1.weight is (2, 2)");
  EXPECT_EQ(loose.find("missing"), std::string::npos);
  expect_unchanged();

  saved[1].second = ones({2, 3});  // as many numbers, but not the shape
  save_tensors(path, saved);
  expect_contains(error_of([&] { load_safetensors(path, net, {.strict = false}); }), "1.weight is (2, 3)");
  expect_unchanged();

  saved[1].second = full({3, 2}, 7);
  save_tensors(path, saved, {{"who", "test"}});
  const LoadReport report = load_safetensors(path, net, {.strict = false});
  EXPECT_EQ(report.missing, (Names{"0.bias", "1.bias"}));
  EXPECT_EQ(report.unexpected.size(), 7U);
  EXPECT_EQ(report.metadata.at("who"), "test");
  EXPECT_EQ(bits(net.parameters()[2]), bits(full({3, 2}, 7)));
  EXPECT_EQ(bits(net.parameters()[1]), before[1]);
}

TEST(Safetensors, EveryTruncationAndExtensionIsAnError) {
  const TempFolder folder;
  save_tensors(folder / "t", {{"x", ones({2})}, {"y", ones({1}, DType::f64)}}, {{"a", "b"}});
  const std::string whole = contents(folder / "t");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    SCOPED_TRACE(size);
    read_error(whole.substr(0, size));
  }
  expect_contains(read_error(whole + '\0'), "cut off or damaged");
}

// Any byte of the file set to any of these values: an Error or a file that reads, never a crash.
TEST(Safetensors, EveryDamagedByteIsAnErrorOrHarmless) {
  const TempFolder folder;
  const std::string path = folder / "t";
  save_tensors(path, {{"x", ones({2})}, {"y", ones({1, 1})}});
  const std::string whole = contents(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char byte : {'\0', '9', '-', '"', '}', '['}) {
      std::string text = whole;
      text[i] = byte;
      write_file(path, text);
      try {
        read_tensors(path);
      } catch (const Error&) {
      }
    }
  }
}

TEST(Safetensors, HostileHeadersAreErrorsThatSayWhatIsWrong) {
  const std::string four(4, '\0'), eight(8, '\0');
  const auto x = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"x":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const std::string first = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string second = R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})";
  struct Case {
    std::string text, message;
  };
  const Case cases[] = {
      {"", "0 bytes"},
      {std::string(8, '\xff'), "18446744073709551615"},
      {std::string(8, '\xff') + "{}", "18446744073709551615"},
      {std::string("\x03\0\0\0\0\0\0\0{}", 10), "should have 3 bytes, but 2 follow"},
      {raw("", ""), "does not begin"},
      {raw("[]", ""), "does not begin"},
      {raw(" {}", ""), "does not begin"},
      {raw("{", ""), "not proper JSON"},
      {raw("{}x", ""), "not proper JSON"},
      {raw("{\"\xff\":1}", ""), "not proper JSON"},
      {raw("{}", four), "take 0 bytes"},
      {raw(R"({"x":1})", ""), "'x' is not an object"},
      {raw(R"({"x":{}})", ""), "no dtype"},
      {raw(R"({"__metadata__":[]})", ""), "'__metadata__' is not an object"},
      {raw(R"({"__metadata__":{"a":1}})", ""), "metadata 'a'"},
      {raw(x("F8_E4M3", "[4]", "[0,4]"), four), "is F8_E4M3; only F32, F64, F16 and BF16 can be read"},
      {raw(x("BF16", "[4]", "[0,4]"), four), "in BF16 needs 8 bytes, but has 4"},
      {raw(x("F16", "[1]", "[0,4]"), four), "in F16 needs 2 bytes, but has 4"},
      {raw(x("f32", "[1]", "[0,4]"), four), "is f32"},
      {raw(x("I64", "[1]", "[0,4]"), four), "in I64 needs 8 bytes, but has 4"},
      {raw(x("F32", "1", "[0,4]"), four), "'shape' of tensor 'x'"},
      {raw(x("F32", "[-1]", "[0,4]"), four), "'shape' of tensor 'x'"},
      {raw(x("F32", "[1.0]", "[0,4]"), four), "'shape' of tensor 'x'"},
      {raw(x("F32", "[1e0]", "[0,4]"), four), "'shape' of tensor 'x'"},
      {raw(x("F32", "[1]", "[0]"), four), "data_offsets"},
      {raw(x("F32", "[1]", "[0,4,8]"), four), "data_offsets"},
      {raw(x("F32", "[1]", "[4,0]"), four), "data_offsets"},
      {raw(x("F32", "[1]", "[-4,0]"), four), "data_offsets"},
      {raw(x("F32", "[1]", "[0,8]"), four), "within the 4 bytes"},
      {raw(x("F32", "[1]", "[18446744073709551612,18446744073709551615]"), four), "data_offsets"},
      {raw(x("F32", "[1]", "[99999999999999999999,4]"), four), "data_offsets"},
      {raw(x("F32", "[2]", "[0,4]"), four), "needs 8 bytes, but has 4"},
      {raw(x("F64", "[1]", "[0,4]"), four), "needs 8 bytes, but has 4"},
      {raw(x("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), four), "9 dimensions"},
      {raw(x("F32", "[4294967296,4294967296]", "[0,0]"), ""), "too large"},
      {raw(x("F32", "[4611686018427387904,4]", "[0,0]"), ""), "too large"},
      {raw(x("F32", "[18446744073709551615]", "[0,0]"), ""), "too large"},
      {raw(x("F32", "[0,4294967296,4294967296]", "[0,0]"), ""), "too large"},
      {raw(x("F32", "[1]", "[4,8]"), eight), "begin at 4, but the tensor before it ends at 0"},
      {raw(x("F32", "[1]", "[0,4]"), eight), "take 4 bytes, but 8 follow"},
      {raw(R"({"x":)" + first + R"(,"y":)" + first + "}", four), "the data of"},
      {raw(R"({"x":)" + first + R"(,"x":)" + second + "}", eight), "'x' twice"},
      {raw(R"({"x":)" + std::string(1'000'000, '['), ""), "nested too deeply"},
      {raw(R"({"x":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", four), "nested too deeply"},
  };
  for (const Case& c : cases) expect_contains(read_error(c.text), c.message);
}

TEST(Safetensors, ReadsWhatIsNotAFileAsAnError) {
  const TempFolder folder;
  expect_contains(error_of([&] { read_tensors(folder / "none"); }), "no such file");
  expect_contains(error_of([&] { read_tensors(folder / ""); }), "not a file");
  expect_contains(error_of([&] { load_safetensors(folder / "none", Linear(1, 1)); }), "none");
}

TEST(Safetensors, AFailedSaveLeavesTheOldFileAndNothingElse) {
  const TempFolder folder;
  const std::string path = folder / "m";
  const Linear small(2, 2), large(100, 100);
  save_safetensors(path, small);
  const std::string before = contents(path);

  // A file may not grow past 4,096 bytes: the nearest thing to a full disk that a test can have.
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{4096, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const std::string message = error_of([&] { save_safetensors(path, large); });
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);

  expect_contains(message, path);
  expect_contains(message, "File too large");
  EXPECT_EQ(contents(path), before);
  EXPECT_EQ(folder.files(), Names{"m"});
}

TEST(Safetensors, PlacesThatCannotBeWrittenAreErrors) {
  const TempFolder folder;
  const Linear layer(1, 1);
  save_safetensors(folder / "file", layer);
  expect_contains(error_of([&] { save_safetensors(folder / "none/m", layer); }), "No such file or directory");
  expect_contains(error_of([&] { save_safetensors(folder / "file/m", layer); }), "Not a directory");
  std::filesystem::create_directory(folder / "sub");
  expect_contains(error_of([&] { save_safetensors(folder / "sub", layer); }), "not a file");
  expect_contains(error_of([&] { save_safetensors("/dev/null", layer); }), "not a file");
  error_of([&] { save_safetensors("", layer); });
  EXPECT_EQ(folder.files().size(), 2U);
}

TEST(Safetensors, SavingThroughALinkReplacesWhatItPointsTo) {
  const TempFolder folder;
  save_safetensors(folder / "real", Linear(1, 1));
  std::filesystem::create_symlink("real", folder / "link");
  save_safetensors(folder / "link", Linear(2, 2));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(read_tensors(folder / "real").tensors[0].second.shape(), (Shape{2, 2}));
}

TEST(Safetensors, FilesAreAsReadableAsOthers) {
  const TempFolder folder;
  const mode_t old = umask(022);
  save_safetensors(folder / "m", Linear(1, 1));
  umask(old);
  struct stat info {};
  ASSERT_EQ(stat((folder / "m").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644U);
}

}  // namespace
}  // namespace gradus::nn
