// write_page RUN.json [RUN2.json] | write_page --lab LAB.json: prints the page for these documents, for the tests in a
// browser.
#include <page.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("write_page: cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 2 && arguments[0] == "--lab") {
    std::cout << gpt::lab_page(read(arguments[1]));
  } else if (arguments.size() == 1 || arguments.size() == 2) {
    std::cout << gpt::page(read(arguments[0]), arguments.size() == 2 ? read(arguments[1]) : "");
  } else {
    std::cerr << "write_page RUN.json [RUN2.json], or write_page --lab LAB.json\n";
    return 2;
  }
  return std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
