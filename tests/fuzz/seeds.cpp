// In place of libFuzzer where it is not: runs the fuzz target on every file of the folders and files named. With no
// folder it does nothing, so it fails.
#include <iterator>

#include "fuzz.h"

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  int count = 0;
  const auto run = [&count](const fs::path& path) {
    const std::string input = gradus::fuzz::file_text(path);
    fmt::print("{}\n", path.filename().string());
    std::fflush(stdout);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    ++count;
  };
  for (int i = 1; i < argc; ++i) {
    if (fs::is_directory(argv[i])) {
      for (const auto& entry : fs::directory_iterator(argv[i])) run(entry.path());
    } else {
      run(argv[i]);
    }
  }
  fmt::print("{} inputs, no finding\n", count);
  return count > 0 ? 0 : 1;
}
