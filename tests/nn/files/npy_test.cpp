// NumPy's files: those that NumPy wrote (tests/nn/data/make.py) have its numbers here, what is saved comes back bit for
// bit, and what is damaged or hostile is an Error.
#include <gradus/nn/files/npy.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "../support.h"

namespace gradus::nn {
namespace {

using namespace std::string_literals;
using testing::bits;
using testing::error_if_any;
using testing::error_of;
using testing::expect_contains;
using testing::read;
using testing::TempFolder;
using testing::write;
using Ids = std::vector<std::int32_t>;

std::string fixture(const std::string& name) {
  return GRADUS_SOURCE_DIR "/tests/nn/data/" + name;
}

// A file of any header and data, right or wrong.
std::string raw(const std::string& header, const std::string& data = "", char version = 1) {
  std::string text =
      "\x93NUMPY"s + version + '\0' + static_cast<char>(header.size() & 0xff) + static_cast<char>(header.size() >> 8);
  if (version > 1) text += "\0\0"s;
  return text + header + data;
}

std::string error_of_bytes(const std::string& bytes) {
  const TempFolder folder;
  const std::string path = folder / "bad.npy";
  write(path, bytes);
  std::string message = error_of([&] { load_npy(path); });
  expect_contains(message, "load_npy: '" + path + "': ");
  return message;
}

std::string error_of_header(const std::string& header) {
  return error_of_bytes(raw(header, std::string(24, '\0')));
}

TEST(Npy, EveryTypeAndByteOrderOfNumPy) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  struct Row {
    std::string name;
    DType dtype;
    std::vector<double> values;
  };
  const auto integers = [](double last) { return std::vector<double>{0, 1, 2, 3, 100, last}; };
  const auto floats = [&](double max, double least) {
    return std::vector<double>{-0.0, 1.5, max, least, -infinity, nan};
  };
  const std::vector<Row> rows{{"b1", DType::f32, {1, 0, 0, 0, 1, 1}},
                              {"i1", DType::f32, integers(-128)},
                              {"i2", DType::f32, integers(-32768)},
                              {"i4", DType::f64, integers(-0x1p31)},
                              {"i8", DType::f64, integers(-0x1p63)},
                              {"u1", DType::f32, integers(255)},
                              {"u2", DType::f32, integers(65535)},
                              {"u4", DType::f64, integers(0x1p32 - 1)},
                              {"u8", DType::f64, integers(0x1p63)},
                              {"f2", DType::f32, floats(65504, 0x1p-24)},
                              {"f4", DType::f32, floats(0x1.fffffep127, 0x1p-149)},
                              {"f8", DType::f64, floats(0x1.fffffffffffffp1023, 0x1p-1074)}};
  for (const Row& row : rows) {
    for (const std::string order : {"", "_big"}) {
      if (!order.empty() && row.name[1] == '1') continue;  // a single byte has no order
      SCOPED_TRACE(row.name + order);
      const Tensor x = load_npy(fixture(row.name + order + ".npy"));
      EXPECT_EQ(x.shape(), (Shape{2, 3}));
      EXPECT_EQ(x.dtype(), row.dtype);
      EXPECT_EQ(bits(x), bits(row.values));
    }
  }
}

TEST(Npy, FortranOrderBecomesRowMajor) {
  const Tensor x = load_npy(fixture("fortran.npy"));
  EXPECT_EQ(x.shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(bits(x), bits(arange(24)));
  EXPECT_EQ(load_npy_ids(fixture("fortran.npy"))[7], 7);
}

TEST(Npy, EveryVersionAndShape) {
  EXPECT_EQ(bits(load_npy(fixture("version2.npy"))), bits(arange(3)));
  EXPECT_EQ(bits(load_npy(fixture("version3.npy"))), bits(arange(3)));
  EXPECT_EQ(load_npy(fixture("scalar.npy")).item(), 2.5);
  EXPECT_EQ(load_npy(fixture("empty.npy")).shape(), (Shape{0, 4}));
}

// More than the piece that is converted at a time.
TEST(Npy, LargeArraysComeBack) {
  const TempFolder folder;
  const Tensor x = randn({100, 301}, DType::f64);
  save_npy(folder / "x", x);
  EXPECT_EQ(bits(load_npy(folder / "x")), bits(x));
  std::string bytes = read(folder / "x");
  const auto place = bytes.find("False");
  bytes.replace(place, 5, "True ");
  write(folder / "x", bytes.replace(bytes.find("100, 301"), 8, "301, 100"));
  EXPECT_EQ(bits(load_npy(folder / "x")), bits(transpose(x)));
}

TEST(Npy, WhatIsSavedComesBack) {
  const TempFolder folder;
  const double nan = std::nan("");
  for (const Tensor& x : {tensor({{1, 2, 3}, {4, 5, 6}}), tensor({nan, -0.0}, DType::f64), tensor(7), zeros({0, 2}),
                          ones({1, 1, 1, 1, 1, 1, 1, 2})}) {
    save_npy(folder / "x", x);
    const Tensor back = load_npy(folder / "x");
    EXPECT_EQ(back.shape(), x.shape());
    EXPECT_EQ(back.dtype(), x.dtype());
    EXPECT_EQ(bits(back), bits(x));
  }
}

TEST(Npy, TheBytesAreTheFormats) {
  const TempFolder folder;
  save_npy(folder / "x", tensor({1, 2}));
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  EXPECT_EQ(read(folder / "x"), raw(header + std::string(117 - header.size(), ' ') + "\n", "\0\0\x80\x3f\0\0\0\x40"s));
  save_npy(folder / "x", zeros({2, 3}, DType::f64));
  expect_contains(read(folder / "x"), "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }");
  save_npy(folder / "x", tensor(1));
  expect_contains(read(folder / "x"), "'shape': (), }");
}

TEST(Npy, Ids) {
  const gradus::Ids ids = load_npy_ids(fixture("i4_big.npy"));
  EXPECT_EQ(ids, (Ids{0, 1, 2, 3, 100, std::numeric_limits<std::int32_t>::min()}));
  EXPECT_EQ(ids.shape(), (Shape{2, 3}));
  EXPECT_EQ(*(load_npy_ids(fixture("u1.npy")).end() - 1), 255);
  EXPECT_EQ(load_npy_ids(fixture("b1.npy")), (Ids{1, 0, 0, 0, 1, 1}));
  const TempFolder folder;
  write(folder / "x", raw("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\1\2"));
  expect_contains(error_of([&] { load_npy_ids(folder / "x"); }), "element 1 of its bools is 2");
  expect_contains(error_of([] { load_npy_ids(fixture("f4.npy")); }), "floats, and ids are integers");
  for (const std::string name : {"u4", "i8", "u8"}) {
    expect_contains(error_of([&] { load_npy_ids(fixture(name + ".npy")); }), "element 5 is ");
  }
}

TEST(Npy, IntegersThatF64DoesNotHoldAreAnError) {
  expect_contains(error_of([] { load_npy(fixture("too_exact.npy")); }), "element 1 is 9007199254740993");
  const std::string header = "{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}";
  expect_contains(error_of_bytes(raw(header, std::string(8, '\xff'))), "element 0 is 18446744073709551615");
}

TEST(Npy, OtherTypesAreAnError) {
  for (const auto& [name, type] : {std::pair("complex", "<c8"), {"text", "<U2"}, {"date", "<M8[D]"}, {"f16", "<f16"}}) {
    const std::string path = fixture(name + ".npy"s);
    expect_contains(error_of([&] { load_npy(path); }), "its type is '"s + type + "'; bool, integers");
  }
  expect_contains(error_of([] { load_npy(fixture("record.npy")); }), "an array of records");
  for (const std::string descr : {"|O", "=f4", "|f4", "<b2", "<i3", "f4", "<f4 ", ""}) {
    expect_contains(error_of_header("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (6,)}"),
                    "its type is");
  }
}

TEST(Npy, FilesOfOtherKinds) {
  expect_contains(error_of([] { load_npy(fixture("stored.npz")); }), "load_npz reads those");
  expect_contains(error_of([] { load_npy("/no/such"); }), "there is no such file");
  expect_contains(error_of([] { load_npy("/tmp"); }), "it is not a file");
  expect_contains(error_of_bytes(""), "does not begin as NumPy's arrays do");
  expect_contains(error_of_bytes("\x1f\x8b packed"), "gunzip");
  expect_contains(error_of_bytes("\x93NUMPY\4"s + '\0' + "1234567890"), "version 4.0");
  expect_contains(error_of_bytes("\x93NUMPY\1\1"s + "1234567890"), "version 1.1");
}

TEST(Npy, AFileThatIsCutOffAnywhereIsAnError) {
  for (const std::string name : {"f4.npy", "version2.npy"}) {
    const std::string good = read(fixture(name));
    for (std::size_t size = 0; size < good.size(); size += size < 20 ? 1 : 7) {
      EXPECT_NE(error_of_bytes(good.substr(0, size)), "");
    }
    expect_contains(error_of_bytes(good + "1"), "more than one array");
  }
  expect_contains(error_of_bytes(raw("{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", "123")),
                  "needs 24 bytes, but 3 follow the header; it is cut off");
}

TEST(Npy, HostileHeaders) {
  expect_contains(error_of_bytes("\x93NUMPY\2"s + '\0' + "\xff\xff\xff\x7f" + "{}"), "should have 2147483647 bytes");
  const auto shape = [](const std::string& sizes) {
    return error_of_header("{'descr': '<f4', 'fortran_order': False, 'shape': " + sizes + "}");
  };
  expect_contains(shape("(4611686018427387904, 4)"), "is too large");
  expect_contains(shape("(0, 9223372036854775807, 9223372036854775807)"), "is too large");
  expect_contains(shape("(99999999999999999999,)"), "no tuple of whole numbers");
  expect_contains(shape("(-1,)"), "no tuple of whole numbers");
  expect_contains(shape("(2 3)"), "no tuple of whole numbers");
  expect_contains(shape("(6)"), "is a number, not a tuple");
  expect_contains(shape("(1,,)"), "no tuple of whole numbers");
  expect_contains(shape("[6]"), "no dict of Python");
  expect_contains(shape("(1, 1, 1, 1, 1, 1, 1, 1, 6)"), "more than 8 dimensions");
  expect_contains(shape("(6,"), "no tuple of whole numbers");
  expect_contains(shape("(6,)} + __import__('os')"), "text follows the dict");
  const std::string rest = "'fortran_order': False, 'shape': (6,)}";
  expect_contains(error_of_header("{" + rest), "lacks 'descr'");
  expect_contains(error_of_header("{'descr': '<f4', 'descr': '<f4', " + rest), "'descr' twice");
  expect_contains(error_of_header("{'descr': '<f4', 'x': 1, " + rest), "has 'x' twice or needs none");
  expect_contains(error_of_header("{'descr': '<f4' " + rest), "'}' is needed before");
  expect_contains(error_of_header("{'descr': 4, " + rest), "a text is needed before \"4, ");
  expect_contains(error_of_header("{'descr': '<f4"), "does not end");
  expect_contains(error_of_header("{'descr': '<f4', 'fortran_order': 1, 'shape': (6,)}"), "neither True nor False");
  expect_contains(error_of_header(""), "no dict of Python");
  expect_contains(error_of_bytes(raw("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\1\2")),
                  "element 1 of its bools is 2");
}

// What Python writes in other ways: other quotes and order, a comma or none at the end, Python 2's long numbers.
TEST(Npy, HeadersAsPythonWouldReadThem) {
  const TempFolder folder;
  write(folder / "x", raw("{\"shape\":(3L , 2,),'fortran_order':False,\n 'descr':\"<f4\"} \n", std::string(24, '\0')));
  EXPECT_EQ(load_npy(folder / "x").shape(), (Shape{3, 2}));
}

TEST(Npz, StoredArchives) {
  const NamedTensors arrays = load_npz(fixture("stored.npz"));
  EXPECT_EQ(testing::names_of(arrays), (std::vector<std::string>{"x", "ids"}));
  EXPECT_EQ(arrays[0].second.shape(), (Shape{2, 3}));
  EXPECT_EQ(bits(arrays[0].second), bits(arange(6)));
  EXPECT_EQ(bits(load_npz(fixture("stored.npz"), "ids")), bits(tensor({3, 1, 2})));
  EXPECT_EQ(load_npz_ids(fixture("stored.npz"), "ids"), (Ids{3, 1, 2}));
  expect_contains(error_of([] { load_npz(fixture("stored.npz"), "y"); }), "it has no array 'y'; it has x, ids");
}

TEST(Npz, DeflatedArchives) {
#ifdef GRADUS_HAS_ZLIB
  const NamedTensors arrays = load_npz(fixture("deflated.npz"));
  EXPECT_EQ(testing::names_of(arrays), (std::vector<std::string>{"x", "ids", "repeated"}));
  EXPECT_EQ(bits(arrays[0].second), bits(arange(6)));
  EXPECT_EQ(bits(arrays[2].second), bits(ones({3000})));
#else
  expect_contains(error_of([] { load_npz(fixture("deflated.npz")); }), "save with np.savez, or build with zlib");
#endif
}

TEST(Npz, WhatIsSavedComesBack) {
  const TempFolder folder;
  const NamedTensors saved{{"a", randn({3, 4})}, {"이름", randn({2}, DType::f64)}, {"empty", zeros({0})}};
  save_npz(folder / "x", saved);
  const NamedTensors back = load_npz(folder / "x");
  ASSERT_EQ(testing::names_of(back), testing::names_of(saved));
  for (std::size_t i = 0; i < saved.size(); ++i) EXPECT_EQ(bits(back[i].second), bits(saved[i].second));
  save_npz(folder / "none", {});
  EXPECT_TRUE(load_npz(folder / "none").empty());
  expect_contains(error_of([&] { save_npz(folder / "x", {{"a", ones({1})}, {"a", ones({1})}}); }), "'a'; rename one");
}

TEST(Npz, AnyChangedByteIsFoundOrMeansNothing) {
  const TempFolder folder;
  save_npz(folder / "x", {{"x", tensor({1, 2})}, {"y", tensor({3}, DType::f64)}});
  const std::string good = read(folder / "x");
  const auto all = [&] {
    std::string text;
    for (const auto& [name, x] : load_npz(folder / "x")) text += fmt::format("{} {} {}\n", name, x.shape(), x);
    return text;
  };
  const std::string expected = all();
  const auto replace = [&](const std::string& bytes) {
    std::filesystem::remove(folder / "x");  // to write over a file takes a disk longer
    write(folder / "x", bytes);
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    replace(bad);
    std::string found;
    const std::string error = error_if_any([&] { found = all(); });
    // The name of an entry has no checksum.
    EXPECT_TRUE(!error.empty() || found == expected || found.size() == expected.size()) << i;
    if (good.compare(i, 4, "\0\0\x80\x3f"s) == 0)
      expect_contains(error, "entry 'x.npy': it does not match its checksum");
    replace(good.substr(0, i));
    EXPECT_NE(error_of(all), "");
  }
}

TEST(Npz, HostileArchives) {
  const TempFolder folder;
  save_npz(folder / "good", {{"x", tensor({1, 2})}});
  const std::string good = read(folder / "good");
  const auto error_with = [&](std::size_t at, const std::string& bytes) {
    write(folder / "x", std::string(good).replace(at, bytes.size(), bytes));
    return error_of([&] { load_npz(folder / "x"); });
  };
  const std::size_t list = good.find("PK\1\2"), end = good.find("PK\5\6");
  expect_contains(error_with(list + 8, "\1"), "'x.npy' is encrypted");
  expect_contains(error_with(list + 10, "\x0e"), "packed by method 14");
  expect_contains(error_with(list + 20, "\xff\xff\xff\x7f"), "more bytes than the file");
  expect_contains(error_with(list + 20, "\1"), "it is stored, but in 1 bytes");
  expect_contains(error_with(list + 10, "\x08"s + good.substr(list + 11, 13) + "\xff\xff\xff\x7f"), "cannot come of");
  expect_contains(error_with(list + 42, "\1"), "does not begin where the list says");
  expect_contains(error_with(list + 42, "\xff\xff\xff\x7f"), "it is cut off or damaged");
  expect_contains(error_with(26, "\xff"), "ends within the list");
  expect_contains(error_with(list + 28, "\xff\xff"), "list of entries is cut off");
  expect_contains(error_with(end + 10, "\2"), "list of entries is cut off");
  expect_contains(error_with(end + 10, "\0"s), "longer than their number");
  expect_contains(error_with(list + 46 + 2, "txt"), "no array (.npy)");
  // Entries that share bytes: each fits in the file, and all of them do not.
  save_npz(folder / "x", {{"x", ones({9})}, {"y", ones({9})}});
  std::string shared = read(folder / "x");
  for (const std::string name : {"x.npy", "y.npy"}) {
    shared[shared.rfind(name) - 46 + 20] = static_cast<char>(shared.size() & 0xff);
    shared[shared.rfind(name) - 46 + 21] = static_cast<char>(shared.size() >> 8);
  }
  write(folder / "x", shared);
  expect_contains(error_of([&] { load_npz(folder / "x"); }), "more bytes than the file");
  write(folder / "x", "no archive");
  expect_contains(error_of([&] { load_npz(folder / "x"); }), "it is no zip archive");
  expect_contains(error_of([] { load_npz(fixture("f4.npy")); }), "NumPy array (.npy)");
}

}  // namespace
}  // namespace gradus::nn
