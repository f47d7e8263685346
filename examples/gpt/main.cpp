// gpt: trains a GPT on a text, samples from it, evaluates it, describes it. Whatever goes wrong ends as one line on
// stderr and exit status 1, or 2 when the command line itself makes no sense.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>

#include <gradus/core/runtime/parallel.h>
#include <gradus/core/runtime/platform.h>
#include <gradus/core/version.h>

#include "commands.h"
#include "hints.h"
#include "output.h"

namespace gpt {

void add_threads(CLI::App& command) {
  command
      .add_option_function<int>("--threads", &gradus::set_num_threads,
                                "Threads to compute with (default: all cores). Results do not depend on it")
      ->check(range("--threads", 1, gradus::max_threads))
      ->type_name("N");
}

}  // namespace gpt

namespace {

int report(std::string message, int status) {
  gpt::print_error(std::move(message));
  return status;
}

// What CLI11 needs to read a command line, and a thread to compute, with room to spare.
constexpr rlim_t least_stack = rlim_t{256} << 10;

bool stack_is_too_small() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < least_stack;
}

constexpr const char* start_here =
    "Start here:\n"
    "  gpt train                    learn from bundled names and invent new ones\n"
    "  gpt train --data FILE        learn from your own: one name, word or sentence a line\n"
    "  gpt sample runs/names        more of them\n"
    "  gpt info runs/names          what the model is and how its training went\n"
    "  gpt view runs/names          a page that shows how it learned and what it thinks\n"
    "  gpt train --help             everything that can be changed";

int run_command(int argc, char** argv) {
  const std::string program = argc > 0 ? argv[0] : "gpt";
  CLI::App app("Trains small GPTs on the CPU, from text to new text, on gradus' autograd engine.", "gpt");
  app.footer(start_here);
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "The help of all commands");
  app.set_version_flag("--version", fmt::format("gpt {}.{}.{}, a program of gradus", GRADUS_VERSION_MAJOR,
                                                GRADUS_VERSION_MINOR, GRADUS_VERSION_PATCH));
  gpt::Action action;
  gpt::add_train(app, program, action);
  gpt::add_sample(app, program, action);
  gpt::add_eval(app, program, action);
  gpt::add_info(app, program, action);
  gpt::add_export(app, program, action);
  gpt::add_check(app, program, action);
  gpt::add_profile(app, program, action);
  gpt::add_view(app, program, action);
  gpt::add_lab(app, program, action);
  gpt::add_tokenize(app, program, action);
  try {
    std::vector<std::string> arguments = gpt::checked_arguments(app, {argv + std::min(argc, 1), argv + argc});
    std::ranges::reverse(arguments);  // as CLI11 takes them
    app.parse(arguments);
    return action();
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::RequiredError&) {
    const std::string command = app.get_subcommands().front()->get_name();
    if (command == "lab") return report("gpt lab needs QUESTION, e.g. gpt lab heads (see gpt lab --help)", 2);
    return report(
        fmt::format("gpt {0} needs DIR, the folder of a run, e.g. gpt {0} runs/names (see gpt {0} --help)", command),
        2);
  } catch (const CLI::ParseError& error) {
    const auto used = app.get_subcommands();
    return report(
        fmt::format("{} (see gpt {}--help)", error.what(), used.empty() ? "" : used.front()->get_name() + " "), 2);
  }
}

}  // namespace

int main(int argc, char** argv) {
  gradus::platform::reserve_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond ulimit -f then fails as on a full disk, with a sentence
  if (stack_is_too_small()) {
    std::fputs("gpt: the stack may not grow to 256 KB; allow that, e.g. with ulimit -s 8192\n", stderr);
    return 1;
  }
  try {
    const int status = run_command(argc, argv);
    const bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
    if (status == 0 && lost) {
      return report("not all of the output could be written; check where it goes and the free space there", 1);
    }
    return status;
  } catch (const gpt::UsageError& error) {
    return report(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return report("there is not enough memory; use a smaller model, context or batch", 1);
  } catch (const std::filesystem::filesystem_error& error) {
    const std::string place = error.path1().empty() ? "a path" : fmt::format("'{}'", error.path1().native());
    return report(fmt::format("{}: {}; check the path", place, error.code().message()), 1);
  } catch (const std::exception& error) {
    return report(gpt::told(error), 1);
  }
}
