// Tables: what fields may look like, what becomes a number, a category or a missing value, and where errors are.
#include <gradus/nn/files/csv.h>

#include <cmath>

#include "../support.h"

namespace gradus::nn {
namespace {

using namespace std::string_literals;
using testing::bits;
using testing::error_of;
using testing::expect_contains;
using testing::TempFolder;
using Ids = std::vector<std::int32_t>;
using Names = std::vector<std::string>;

const double nan = std::nan("");

Table table_of(const std::string& text, const CsvOptions& options = {}) {
  const TempFolder folder;
  testing::write(folder / "t.csv", text);
  return read_csv(folder / "t.csv", options);
}

std::string error_of_text(const std::string& text, const CsvOptions& options = {}) {
  const TempFolder folder;
  testing::write(folder / "t.csv", text);
  const std::string error = error_of([&] { read_csv(folder / "t.csv", options); });
  expect_contains(error, "read_csv: '" + (folder / "t.csv").string() + "': ");
  return error;
}

TEST(Csv, NumbersCategoriesAndMissingValues) {
  const Table table = table_of(
      "sepal,kind,count\n"
      "5.1,setosa,1\n"
      ",virginica,2\n"
      "-2e-3,,3\n"
      "+.5,setosa,NA\n");
  EXPECT_EQ(table.rows(), 4);
  EXPECT_EQ(table.names(), (Names{"sepal", "kind", "count"}));
  EXPECT_EQ(bits(table["sepal"].values), bits({5.1, nan, -2e-3, 0.5}));
  EXPECT_FALSE(table["sepal"].is_text());
  EXPECT_EQ(table["kind"].categories, (Names{"setosa", "virginica"}));
  EXPECT_EQ(bits(table["kind"].values), bits({0, 1, nan, 0}));
  EXPECT_EQ(bits(table["count"].values), bits({1, 2, 3, nan}));
}

TEST(Csv, TensorsOfChosenColumns) {
  const Table table = table_of("a,b,name\n1,2,x\n3,4,y\n");
  const Tensor x = table.tensor({"b", "a"});
  EXPECT_EQ(x.shape(), (Shape{2, 2}));
  EXPECT_EQ(x.dtype(), DType::f32);
  EXPECT_EQ(bits(x), bits({2, 1, 4, 3}));
  EXPECT_EQ(bits(table.tensor({"name"}, DType::f64)), bits({0, 1}));
  EXPECT_EQ(bits(table_of("a,b\n1,2\n3,4\n").tensor(DType::f64)), bits({1, 2, 3, 4}));
  EXPECT_EQ(table_of("a,b\n").tensor().shape(), (Shape{0, 2}));
  expect_contains(error_of([&] { table.tensor(); }), "column 'name' has categories, such as 'x'; name the columns");
  expect_contains(error_of([&] { table.tensor({"c"}); }), "there is no column 'c'; it has a, b, name");
}

TEST(Csv, Ids) {
  const Table table = table_of("kind,n,half,none\nb,7,0.5,\na,-1,1,2\n");
  EXPECT_EQ(table.ids("kind"), (Ids{1, 0}));
  EXPECT_EQ(table.ids("n"), (Ids{7, -1}));
  expect_contains(error_of([&] { table.ids("half"); }), "column 'half' has 0.5 in row 0");
  expect_contains(error_of([&] { table.ids("none"); }), "column 'none' has nan in row 0");
  expect_contains(error_of([] { table_of("n\n3000000000\n").ids("n"); }), "ids are whole numbers of 32 bits");
}

TEST(Csv, QuotesAndLineEnds) {
  const Table table = table_of(
      "\xef\xbb\xbf\"a\" , b\r\n"
      "\"x, \"\"y\"\"\", 1 \r\n"
      "\r\n"
      "  \"two\r\nlines\"  ,\"2\"\r\n"
      "plain text ,3");
  EXPECT_EQ(table.names(), (Names{"a", "b"}));
  EXPECT_EQ(table["a"].categories, (Names{"plain text", "two\r\nlines", "x, \"y\""}));
  EXPECT_EQ(bits(table["b"].values), bits({1, 2, 3}));
  for (const std::string end : {"\n", "\r", "\r\n"}) {
    EXPECT_EQ(bits(table_of("a" + end + "1" + end + end + "2" + end)["a"].values), bits({1, 2}));
  }
}

TEST(Csv, Options) {
  EXPECT_EQ(bits(table_of("1;2\n3;4", {.header = false, .separator = ';'}).tensor({"1", "0"})), bits({2, 1, 4, 3}));
  EXPECT_EQ(bits(table_of("a\tb\n 1\t\n", {.separator = '\t'}).tensor()), bits({1, nan}));
  EXPECT_EQ(bits(table_of("a\n?\n1\n", {.missing = {"?"}})["a"].values), bits({nan, 1}));
  EXPECT_EQ(table_of("a\nNA\n1\n", {.missing = {""}})["a"].categories, (Names{"1", "NA"}));
  EXPECT_EQ(table_of("zip\n01234\n1234\n", {.categories = {"zip"}})["zip"].categories, (Names{"01234", "1234"}));
  EXPECT_EQ(table_of(",a\n0,5\n").names(), (Names{"0", "a"}));  // an index without a name, as pandas writes it
}

TEST(Csv, ATextLateInAColumnMakesItOneOfCategories) {
  EXPECT_EQ(bits(table_of("a,b\n10,1\n9,2\nx,3\n").tensor({"a", "b"})), bits({0, 1, 1, 2, 2, 3}));
}

TEST(Csv, ErrorsSayWhere) {
  expect_contains(error_of_text("a,b\n1,2\n\n3\n"), "line 4, column 'b': the row has 1 fields, but the first line 2");
  expect_contains(error_of_text("a,b\n1,2,3\n"), "line 2, column 2: the row has 3 fields, but the first line 2");
  expect_contains(error_of_text("a,b\n1,2\n3,x\n", {.numbers = {"b"}}), "line 3, column 'b': 'x' is no number");
  expect_contains(error_of_text("a,b\n1,1e999\n"), "line 2, column 'b': f64 does not hold 1e999");
  expect_contains(error_of_text("a,b\n\"x\ny\",1\n2,\"z\n\n"), "line 4, column 'b': the quote that begins here");
  expect_contains(error_of_text("a,b\n\"x\r\ny\rz\",1\n2,\"\n"), "line 5, column 'b': the quote that begins here");
  expect_contains(error_of_text("a,b\n1,5\" pipe\n"), "line 2, column 'b': a quote stands within a field");
  expect_contains(error_of_text("a,b\n\"1\"x,2\n"), "line 2, column 'a': a quote stands within a field");
  expect_contains(error_of_text("a,b,a\n"), "line 1, column 2: the name 'a' is there twice");
  expect_contains(error_of_text("a,\"b\n"), "line 1, column 1: the quote that begins here");
  expect_contains(error_of_text(""), "it has no line; one with the columns' names is needed");
  expect_contains(error_of_text(" \n\n", {.header = false}), "it has no line; a row is needed");
  expect_contains(error_of_text("a\n1\n", {.numbers = {"c"}}), "there is no column 'c'; it has a");
  expect_contains(error_of_text("a\n1\n", {.categories = {"c"}}), "there is no column 'c'; it has a");
  expect_contains(error_of_text("a\n", {.separator = '"'}), "the separator cannot be");
  expect_contains(error_of_text("a\nb\0\n"s), "line 2 has a zero byte");
  expect_contains(error_of_text("\x1f\x8b"), "gunzip");
  expect_contains(error_of_text("\xff\xfe"
                                "a\0\n\0"s),
                  "UTF-16");
  expect_contains(error_of([] { read_csv("/no/such.csv"); }), "there is no such file");
}

}  // namespace
}  // namespace gradus::nn
