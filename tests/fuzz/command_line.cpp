// Any text as gpt's command line, an argument a line: it parses, or it is an error that main.cpp knows. Nothing is run,
// since a training writes to whatever folder it is told.
#include <vector>

#include "examples/gpt/commands.h"
#include "fuzz.h"

// main.cpp's, without starting the threads.
void gpt::add_threads(CLI::App& command) {
  static int threads;
  command.add_option("--threads", threads)->check(CLI::Range(1, 64));
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> arguments{"gpt"};
  for (std::string_view rest = gradus::fuzz::text_of(data, size); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    arguments.emplace_back(line.substr(0, line.find('\0')));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());

  CLI::App app("gpt", "gpt");
  app.require_subcommand(1);
  app.option_defaults()->take_last();
  app.set_help_all_flag("--help-all");
  gpt::Run run;
  gpt::add_train(app, "gpt", run);
  gpt::add_sample(app, "gpt", run);
  gpt::add_eval(app, "gpt", run);
  gpt::add_info(app, "gpt", run);
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
    gradus::fuzz::expect(run != nullptr, "a command line that parses names something to run");
  } catch (const CLI::Error&) {
  } catch (const gradus::Error&) {
  }
  return 0;
}
