// gpt: trains a GPT on a text, samples from it, judges it, describes it. Whatever goes wrong ends as one line on stderr
// and exit status 1, or 2 when the command line itself makes no sense.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <new>

#include <gradus/core/parallel.h>
#include <gradus/core/platform.h>

#include "commands.h"

namespace gpt {

void add_threads(CLI::App& command) {
  command
      .add_option_function<int>("--threads", &gradus::set_num_threads,
                                "Threads to compute with (default: all cores). Results do not depend on it")
      ->check(CLI::Range(1, gradus::max_threads))
      ->type_name("N");
}

}  // namespace gpt

namespace {

int report(std::string message, int status) {
  std::ranges::replace(message, '\n', ' ');
  std::fflush(stdout);
  std::fputs(fmt::format("gpt: {}\n", message).c_str(), stderr);  // fmt::print would throw if no one reads it any more
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  gradus::platform::reserve_standard_streams();
  const std::string program = argc > 0 ? argv[0] : "gpt";
  CLI::App app("Trains small GPTs on the CPU, from text to new text, on gradus' autograd engine.", "gpt");
  app.footer(
      "Start here:\n"
      "  gpt train                    learn from bundled names and invent new ones\n"
      "  gpt train --data FILE        learn from your own: one name, word or sentence a line\n"
      "  gpt sample runs/names        more of them\n"
      "  gpt info runs/names          what the model is and how its training went\n"
      "  gpt train --help             everything that can be changed");
  app.require_subcommand(1);
  app.option_defaults()->take_last();  // so that a script's options can be overridden behind them
  app.set_help_all_flag("--help-all", "The help of all commands");
  gpt::Run run;
  gpt::add_train(app, program, run);
  gpt::add_sample(app, program, run);
  gpt::add_eval(app, program, run);
  gpt::add_info(app, program, run);
  gpt::add_check(app, program, run);
  try {
    const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
    const auto is_named = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
    if (argc > 1 && argv[1][0] != '-' && std::ranges::none_of(commands, is_named)) {
      throw gpt::UsageError(fmt::format("there is no command '{}'; use train, sample, eval, info or check", argv[1]));
    }
    app.parse(argc, argv);
    const int status = run();
    const bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
    if (status == 0 && lost) {
      return report("not all of the output could be written; check where it goes and the free space there", 1);
    }
    return status;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    const auto used = app.get_subcommands();
    return report(
        fmt::format("{} (see gpt {}--help)", error.what(), used.empty() ? "" : used.front()->get_name() + " "), 2);
  } catch (const gpt::UsageError& error) {
    return report(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return report("there is not enough memory; use a smaller model, context or batch", 1);
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
}
