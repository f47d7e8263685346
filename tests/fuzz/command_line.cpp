// Any text as gpt's command line, an argument a line: it parses, or it is an error that main.cpp knows. Nothing is run,
// since a training writes to whatever folder it is told.
#include <algorithm>
#include <vector>

#include "examples/gpt/commands.h"
#include "fuzz.h"

// main.cpp's, without starting the threads.
void gpt::add_threads(CLI::App& command) {
  static int threads;
  command.add_option("--threads", threads)->check(CLI::Range(1, 64));
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> arguments;
  for (std::string_view rest = gradus::fuzz::text_of(data, size); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    arguments.emplace_back(line.substr(0, line.find('\0')));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  CLI::App app("gpt", "gpt");
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all");
  gpt::Action run;
  gpt::add_train(app, "gpt", run);
  gpt::add_sample(app, "gpt", run);
  gpt::add_eval(app, "gpt", run);
  gpt::add_info(app, "gpt", run);
  gpt::add_check(app, "gpt", run);
  gpt::add_profile(app, "gpt", run);
  gpt::add_tokenize(app, "gpt", run);
  try {
    arguments = gpt::checked_arguments(app, arguments);
    std::ranges::reverse(arguments);
    app.parse(arguments);
    gradus::fuzz::expect(run != nullptr, "a command line that parses names something to run");
  } catch (const CLI::Error&) {
  } catch (const gradus::Error&) {
  }
  return 0;
}
