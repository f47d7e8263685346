// The page around a document. What it shows is tested in a browser: make test-page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <page.h>

#include <string>

namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Page, HoldsTheDocumentTheStyleTheScriptsAndNothingOfTheNetwork) {
  const std::string page = gpt::page(R"({"version":1})", "");
  EXPECT_THAT(page, HasSubstr(R"(<script type="application/json" id="run">{"version":1}</script>)"));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
  EXPECT_THAT(page, HasSubstr("d3js.org"));
  EXPECT_THAT(page, Not(HasSubstr("src=\"http")));
  EXPECT_THAT(page, Not(HasSubstr("id=\"run2\"")));
}

TEST(Page, HoldsASecondDocumentBesideTheFirst) {
  const std::string page = gpt::page(R"({"a":1})", R"({"b":2})");
  EXPECT_THAT(page, HasSubstr(R"(id="run">{"a":1}</script>)"));
  EXPECT_THAT(page, HasSubstr(R"(id="run2">{"b":2}</script>)"));
}

TEST(Page, NoTextOfADocumentEndsItsElement) {
  const std::string empty = gpt::page("{}", ""), page = gpt::page(R"({"a":"</script><!--<script>"})", "");
  EXPECT_EQ(times(page, "</script"), times(empty, "</script"));
  EXPECT_EQ(times(page, "<!--"), times(empty, "<!--"));
  EXPECT_THAT(page, HasSubstr(R"({"a":"\u003c/script>\u003c!--\u003cscript>"})"));
}

TEST(Page, ADocumentThatHoldsTheMarkIsTakenAsItIs) {
  EXPECT_THAT(gpt::page(R"({"a":"{{data}}"})", ""), HasSubstr(R"(id="run">{"a":"{{data}}"}</script>)"));
}

TEST(Page, AStudyHasItsOwn) {
  const std::string page = gpt::lab_page(R"({"question":"heads"})");
  EXPECT_THAT(page, HasSubstr(R"(id="lab">{"question":"heads"}</script>)"));
  EXPECT_THAT(page, Not(HasSubstr("id=\"run\"")));
}

}  // namespace
