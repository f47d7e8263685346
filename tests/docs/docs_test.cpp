// What the pages of the front door and of docs/ show is what happens: their programs print what the page says, their
// commands exist, the Korean pages have the same blocks as the English ones, and their links lead somewhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <gradus/models/gpt/gpt2.h>

#include "../support.h"

namespace {

namespace fs = std::filesystem;
using gradus::testing::output_of;
using gradus::testing::ProgramResult;
using gradus::testing::read;
using gradus::testing::run;
using gradus::testing::TempFolder;

const fs::path root = GRADUS_SOURCE_DIR;

struct Block {
  std::string language, text;
};

// The fenced blocks of a page.
std::vector<Block> blocks(const fs::path& page) {
  std::vector<Block> found;
  bool inside = false;
  std::istringstream lines(read(page));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) found.push_back({line.substr(3), {}});
    } else if (inside) {
      found.back().text += line + "\n";
    }
  }
  EXPECT_FALSE(inside) << page << " has a block that does not end";
  return found;
}

std::string joined(const fs::path& page, const std::string& language) {
  std::string text;
  for (const Block& block : blocks(page)) {
    if (block.language == language) text += block.text;
  }
  return text;
}

std::vector<fs::path> pages() {
  std::vector<fs::path> found{root / "README.md", root / "README.ko.md", root / "CONTRIBUTING.md"};
  for (const auto& entry : fs::directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

bool is_korean(const fs::path& page) {
  return page.stem().extension() == ".ko";
}

class Page : public testing::TestWithParam<fs::path> {};

TEST_P(Page, ProgramPrintsWhatThePageSays) {
  const fs::path& page = GetParam();
  const std::string code = joined(page, "cpp");
  if (code.empty() || is_korean(page)) return;
  const TempFolder folder;  // programs may write files
  if (page.filename() == "README.md") {
    // The second program is the one that tests/install builds outside of the tree.
    EXPECT_EQ(code, read(root / "examples/first_steps.cpp") + read(root / "tests/install/app/app.cpp"));
    EXPECT_EQ(joined(page, "cmake"), read(root / "tests/install/app/CMakeLists.txt"));
    EXPECT_EQ(joined(page, "text"), output_of("first_steps"));
  } else {
    const ProgramResult result =
        run("cd " + folder.path().string() + " && " GRADUS_BIN_DIR "/docs/" + page.stem().string() + " 2>&1");
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(joined(page, "text"), result.output);
  }
}

// What stands beside it in Python prints the same with PyTorch, where that is installed.
TEST_P(Page, PythonPrintsTheSame) {
  const std::string code = joined(GetParam(), "python");
  if (code.empty()) return;
  const TempFolder folder;
  gradus::testing::write(folder / "page.py", code);
  const ProgramResult result = run("cd " + folder.path().string() + " && /usr/bin/python3 page.py 2>&1");
  if (result.status == 127 || result.output.find("ModuleNotFoundError") != std::string::npos) GTEST_SKIP();
  EXPECT_EQ(joined(GetParam(), "text"), result.output);
}

// Remarks behind shell commands are translated.
TEST_P(Page, InKoreanHasTheBlocksOfTheEnglishOne) {
  const fs::path& page = GetParam();
  if (!is_korean(page)) return;
  const auto without_remarks = [](std::vector<Block> all) {
    std::erase_if(all, [](const Block& block) { return block.language.empty(); });
    for (Block& block : all) {
      if (block.language == "sh") block.text = std::regex_replace(block.text, std::regex(" +#[^\n]*"), "");
    }
    return all;
  };
  const std::vector<Block> korean = without_remarks(blocks(page));
  const std::vector<Block> english = without_remarks(blocks(page.parent_path() / page.stem().replace_extension(".md")));
  ASSERT_EQ(korean.size(), english.size());
  for (std::size_t i = 0; i < korean.size(); ++i) {
    EXPECT_EQ(korean[i].language, english[i].language);
    EXPECT_EQ(korean[i].text, english[i].text);
  }
}

// In the place of a download: a small GPT-2 that knows the characters of a text.
void make_gpt2(const fs::path& folder, const std::string& text) {
  using namespace gradus::models;
  const CharTokenizer tokenizer = CharTokenizer::from_text(text);
  save_gpt2(folder,
            GPT({.vocab_size = tokenizer.vocab_size(), .block_size = 256, .n_layer = 2, .n_head = 2, .n_embd = 8}),
            tokenizer);
}

// The commands of a page in their order, on texts of the names that they use; trainings make two more steps each.
TEST_P(Page, CommandsWork) {
  if (is_korean(GetParam())) return;  // they are those of the English page
  if (gradus::testing::emulated()) GTEST_SKIP() << "the trainings would take an hour";
  const TempFolder folder;
  for (const char* const name : {"core", "examples"}) fs::create_symlink(root / name, folder / name);
  fs::create_directory(folder / "build");
  fs::create_symlink(GRADUS_BIN_DIR, folder / "build" / "bin");
  const std::string names = read(root / "examples/data/names.txt").substr(0, 20000);
  for (const char* const file : {"towns.txt", "names.txt", "tinyshakespeare.txt"}) {
    gradus::testing::write(folder / file, names + "ROMEO:\n");
  }
  make_gpt2(folder / "gpt2", names + "ROMEO:\n");
  const std::string makefile = read(root / "Makefile");
  int steps = 0;
  std::istringstream lines(joined(GetParam(), "sh"));
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find(" #"));
    if (line.starts_with("make ")) {
      const std::string target = line.substr(5, line.find(' ', 5) - 5);
      EXPECT_NE(makefile.find("\n" + target + ":"), std::string::npos) << "no such target: " << line;
      continue;
    }
    if (line.starts_with("build/bin/gpt train")) {
      line = std::regex_replace(line, std::regex(" --steps [0-9]+"), "") +
             fmt::format(" --steps {} --eval-batches 1 --samples 1", steps += 2);
    } else if (!line.starts_with("build/bin/") && !line.starts_with("cat ")) {
      continue;
    }
    const ProgramResult result = run("cd " + folder.path().string() + " && { " + line + "; } 2>&1");
    EXPECT_EQ(result.status, 0) << line << "\n" << result.output;
  }
}

TEST_P(Page, LinksLeadSomewhere) {
  const std::string text = read(GetParam());
  const std::regex link(R"(\]\(([^)#: ]+)(#[^)]*)?\))");
  for (std::sregex_iterator i(text.begin(), text.end(), link); i != std::sregex_iterator(); ++i) {
    EXPECT_TRUE(fs::exists(GetParam().parent_path() / (*i)[1].str())) << (*i)[1];
  }
}

// Every file that git knows, that is: one put there to try something is nobody's business.
TEST(Architecture, TreeNamesEveryFileAndNothingElse) {
  const ProgramResult known = run("git -C '" + root.string() + "' ls-files core nn models examples 2>&1");
  if (known.status != 0) GTEST_SKIP() << "this is no clone of the repository";
  std::vector<fs::path> files;
  std::istringstream lines(known.output);
  for (std::string line; std::getline(lines, line);) files.emplace_back(line);
  ASSERT_GT(files.size(), 100U);
  for (const char* const page : {"docs/architecture.md", "docs/architecture.ko.md"}) {
    const std::string tree = joined(root / page, "");
    for (const fs::path& file : files) {
      auto part = file.begin();
      const fs::path folder = *part++;
      const bool direct = std::next(part) == file.end();
      const std::string name = direct ? part->stem().string() + "." : part->string() + "/";
      if (name == "CMakeLists." || name == "detail/") continue;
      EXPECT_NE(tree.find(" " + name), std::string::npos) << page << " has no " << file;
    }
    const std::regex named("[A-Za-z0-9_]+\\.(h|cpp)");
    for (std::sregex_iterator i(tree.begin(), tree.end(), named); i != std::sregex_iterator(); ++i) {
      EXPECT_TRUE(std::ranges::any_of(files, [&](const fs::path& file) { return file.filename() == i->str(); }) ||
                  fs::exists(root / i->str()) || fs::exists(root / "tests" / i->str()) ||
                  fs::exists(root / "tests/core" / i->str()))
          << page << " names " << i->str();
    }
  }
}

TEST(Readme, CountsTheLinesOfAutograd) {
  const std::string both = read(root / "core/autograd.h") + read(root / "core/autograd.cpp");
  const auto lines = std::ranges::count(both, '\n');
  EXPECT_NE(read(root / "README.md").find(fmt::format("`core/autograd`, is {} lines", lines)), std::string::npos)
      << lines;
  EXPECT_NE(read(root / "README.ko.md").find(fmt::format("`core/autograd`는 {}줄", lines)), std::string::npos) << lines;
}

INSTANTIATE_TEST_SUITE_P(Docs, Page, testing::ValuesIn(pages()), [](const auto& page) {
  return std::regex_replace(page.param.stem().string(), std::regex("[^A-Za-z0-9]"), "_");
});

}  // namespace
