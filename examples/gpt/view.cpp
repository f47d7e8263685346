// gpt view: a run as one page that needs no network. The folder's other files stay as they are.
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include <gradus/models/text/text.h>

#include "commands.h"
#include "numbers.h"
#include "output.h"
#include "page.h"
#include "view_serve.h"
#include "waiting.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;

struct ViewArguments {
  std::string folder, other;
  std::optional<std::string> text, out;
  std::vector<std::string> sources;
  bool json = false;
  std::optional<int> port;  // to serve on
};

void print_left_out(const std::string& folder, const Json& document) {
  for (const Json& sentence : document["left_out"]) {
    print("left out of {}: {}\n", folder, sentence["en"].get<std::string>());
  }
}

int serve(const ViewArguments& arguments) {
  if (!arguments.other.empty() || arguments.out || arguments.json) {
    throw UsageError("--serve shows one run and writes no file; leave DIR2, --out and --json out");
  }
  return serve_view({arguments.folder, arguments.sources, arguments.text}, *arguments.port);
}

int view(const ViewArguments& arguments) {
  if (arguments.port) return serve(arguments);
  const EndsTold early("\ngpt: stopped before the page was written\n");
  const auto document_of = [&](const std::string& folder) {
    Waiting waiting("looking into " + folder, arguments.json);
    return view_document({folder, arguments.sources, arguments.text, arguments.json});
  };
  const Json document = document_of(arguments.folder);
  if (arguments.json) {
    print("{}\n", models::detail::dump(document));
    return 0;
  }
  const Json other = arguments.other.empty() ? Json() : document_of(arguments.other);
  const std::string file =
      arguments.out.value_or((std::filesystem::path(arguments.folder) / "view.html").lexically_normal().string());
  const std::string html = page(models::detail::dump(document), other.is_null() ? "" : models::detail::dump(other));
  models::write_text(file, html);
  print_left_out(arguments.folder, document);
  if (!other.is_null()) print_left_out(arguments.other, other);
  print("the page is in {} ({}); open it in a browser\n", file, memory(static_cast<double>(html.size())));
  return 0;
}

}  // namespace

void add_view(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<ViewArguments>();
  ViewArguments& a = *arguments;
  CLI::App& command = *app.add_subcommand("view", "Show how a run learned and what it thinks, as a page");
  command.add_option("DIR", a.folder, "The folder that gpt train wrote")->required();
  command.add_option("DIR2", a.other, "Another one, to compare with");
  command.add_option("--text", a.text, "Look at what the model does with this text, not with three held-out ones")
      ->type_name("T");
  command.add_option("--out", a.out, "Where to write the page (default: view.html in DIR)")->type_name("FILE");
  command.add_option("--data", a.sources, "The text that the run learned from, where that lies elsewhere now")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--json", a.json, "Print what the page shows as one JSON object instead");
  command
      .add_option("--serve", a.port,
                  fmt::format("Serve the page on this machine alone until Ctrl-C: texts that are typed are answered, "
                              "a training under way is shown (default: port {}; 0: any that is free)",
                              default_port))
      ->type_name(optional_number)
      ->default_str(std::to_string(default_port))
      ->check(range("--serve", 0, 65535));
  add_threads(command);
  command.footer(
      "The page is one file without anything from the network. It shows loss, updates, gradients, histograms,\n"
      "activations, attention, confidence, calibration, samples, the logit lens, the map of the embeddings, one step\n"
      "of the optimizer and the graph, over the steps of the training. What a training has not recorded\n"
      "(--record off, or an older version) is left out and said.\n\n"
      "Examples:\n"
      "  gpt view runs/names\n"
      "  gpt view runs/names --text anna --out anna.html\n"
      "  gpt view runs/small runs/large --out both.html\n"
      "  gpt view runs/names --serve");
  command.callback([arguments, &action] { action = [arguments] { return view(*arguments); }; });
}

}  // namespace gpt
