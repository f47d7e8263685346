// gpt lab: a question about training, answered by runs on this machine.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <random>

#include <gradus/core/runtime/parallel.h>
#include <gradus/models/text/text.h>

#include "../commands.h"
#include "../data.h"
#include "../hints.h"
#include "../numbers.h"
#include "../output.h"
#include "../page.h"
#include "../waiting.h"
#include "report.h"
#include "runner.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;
using gradus::Index;

constexpr double least_minutes = 0.01, most_minutes = 10'000;

struct LabArguments {
  std::string program, question;
  double minutes = 5;
  std::vector<std::string> sources;
  Index seeds = 0;
  std::string out;
};

std::vector<std::string> question_names() {
  std::vector<std::string> names;
  for (const lab::Study& study : lab::studies()) names.emplace_back(study.name);
  return names;
}

// The names come sorted by how common they are; the last tenth of them would be another kind of names.
std::string shuffled_lines(const std::string& text) {
  std::vector<std::string> lines = models::split_documents(text);
  std::mt19937 generator(1);
  for (std::size_t i = lines.size(); i > 1; --i) std::swap(lines[i - 1], lines[generator() % i]);
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

// What the held-out part costs for who guesses by how often each character comes in the other.
double unigram_loss(const lab::Material& material, const std::vector<std::int32_t>& known) {
  std::map<std::int32_t, double> counts;
  const auto asked = material.tokenizer.encode(material.held_out);
  for (const std::int32_t token : known) ++counts[token];
  const double all = static_cast<double>(known.size()) + static_cast<double>(material.tokenizer.vocab_size());
  double loss = 0;
  for (const std::int32_t token : asked) loss -= std::log((counts[token] + 1) / all);
  return loss / static_cast<double>(asked.size());
}

struct Learned {
  lab::Material material;
  std::string identity;
};

Learned read_material(const std::vector<std::string>& sources) {
  const models::RunData info{.source = sources.front(), .format = models::TextFormat::text};
  const Text read = read_texts(sources, info, "", false);
  const bool bundled = sources.size() == 1 && sources.front().starts_with(bundled_prefix);
  const std::string text = bundled ? shuffled_lines(read.running) : read.running;
  constexpr std::size_t fewest = 5000;
  gradus::check(text.size() >= fewest,
                "'{}' has {}; a study needs at least {} to learn from and judge by: give more text", name_of(sources),
                counted(std::ssize(text), "byte"), grouped(fewest));
  std::size_t cut = text.size() / 10 * 9;
  while (models::continues_character(text[cut])) ++cut;
  lab::Material material{
      .train = text.substr(0, cut), .held_out = text.substr(cut), .tokenizer = models::CharTokenizer::from_text(text)};
  material.uniform = std::log(static_cast<double>(material.tokenizer.vocab_size()));
  const auto known = material.tokenizer.encode(material.train);
  material.unigram = unigram_loss(material, known);
  material.characters = std::ssize(known);
  return {std::move(material), fmt::format("{} {}", name_of(sources), read.identity)};
}

const lab::Study& find_study(const std::string& question) {
  const auto all = lab::studies();
  const auto found = std::ranges::find_if(all, [&](const lab::Study& study) { return question == study.name; });
  require(found != all.end(), "there is no question '{}'; ask one of {}", question, fmt::join(question_names(), ", "));
  return *found;
}

void write_report(const std::string& out, const lab::Study& study, const lab::Report& report) {
  const std::string text = lab::markdown_of(study, report);
  models::write_text(fs::path(out) / "report.md", text);
  models::write_text(fs::path(out) / "report.html", lab_page(lab::json_of(study, report)));
  print("{}\n", text);
  print("written to {0}/report.md; as a page: {0}/report.html\n", out);
}

lab::Plan plan_of(const LabArguments& arguments, const lab::Study& study, const std::vector<lab::Arm>& arms,
                  const lab::Material& material, int processes) {
  constexpr double usual_minutes = 5, usual_tokens = 16'384, least_tokens = 1'024;
  const auto begin = std::chrono::steady_clock::now();
  const auto tokens =
      static_cast<Index>(std::clamp(usual_tokens * arguments.minutes / usual_minutes, least_tokens, usual_tokens));
  const std::vector<lab::Cost> costs = lab::measure(arms, material, tokens);
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return lab::plan_for(costs, arms, 60 * arguments.minutes - spent, processes, arguments.seeds, study.good_steps,
                       tokens);
}

int run_lab(LabArguments arguments) {
  const lab::Study& study = find_study(arguments.question);
  if (arguments.sources.empty()) arguments.sources = {"bundled:names"};
  if (arguments.out.empty()) arguments.out = std::string("lab/") + study.name;
  const std::string& out = arguments.out;
  const auto begin = std::chrono::steady_clock::now();
  const int processes = gradus::num_threads();
  gradus::set_num_threads(1);
  const Learned learned = read_material(arguments.sources);
  const std::vector<lab::Arm> arms = study.arms(learned.material.tokenizer.vocab_size());
  gradus::check(!models::look_into(out).run, "'{}' holds a run of gpt train; choose another folder with --out", out);
  models::make_folder(out);
  const models::RunLock lock(out);
  lab::ResultsFile file(fs::path(out) / "results.jsonl");
  lab::Header header{study.name, learned.identity, arguments.seeds, {}, {}};
  for (const lab::Arm& arm : arms) header.arms[arm.name] = lab::fingerprint_of(arm);
  std::optional<lab::Plan> plan = file.read(header);
  const Index known = std::ssize(file.results());
  if (!plan) {
    std::optional<EndsTold> early(std::in_place, "\ngpt: stopped before the first run; nothing was saved\n");
    plan = header.plan = plan_of(arguments, study, arms, learned.material, processes);
    file.begin(header);
  }
  const Index all = std::ssize(arms) * plan->seeds;
  print("{}\n{}\n{}: {}, {}, {} each, {} at a time{}\n", study.question.en, study.how.en, study.name,
        counted(std::ssize(arms), "setting"), counted(plan->seeds, "seed"), counted(plan->steps, "step"), processes,
        known > 0 ? fmt::format("; {} of {} runs were done before", known, all) : "");
  std::fflush(stdout);
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const lab::Outcome outcome =
      lab::run_all(arms, learned.material, *plan, 60 * arguments.minutes - spent, processes, file);
  if (outcome.signal != 0) {
    print("\nstopped; {} of {} runs are kept in {}. The same command goes on with the others\n", file.results().size(),
          all, out);
    constexpr int killed = 128;
    return killed + outcome.signal;
  }
  const lab::Results results(file.results(), learned.material.uniform, learned.material.unigram,
                             learned.material.characters);
  lab::Report report = study.conclude(results, arms);
  report.sentences.push_back(
      {fmt::format("{} runs of {} steps of 8 windows of 64 characters of {}; guessing costs {:.4f} nats, guessing by "
                   "counts {:.4f}. A difference is shown if its 95 % interval (Student's t over the seeds, in pairs) "
                   "does not hold 0; with several such claims one in twenty is shown by chance.",
                   file.results().size(), plan->steps, name_of(arguments.sources), learned.material.uniform,
                   learned.material.unigram),
       fmt::format(
           "{}의 글자 64개짜리 창 8개로 {}스텝씩 {}번 학습했습니다. 찍으면 {:.4f} nat, 빈도로 찍으면 {:.4f} nat입니다. "
           "차이의 95 % "
           "구간(시드끼리 짝지은 Student t)에 0이 없으면 드러난 것으로 봅니다. 그런 주장 스무 개 중 하나는 우연입니다.",
           name_of(arguments.sources), plan->steps, file.results().size(), learned.material.uniform,
           learned.material.unigram)});
  if (outcome.left_out > 0) {
    report.sentences.push_back(
        {fmt::format("{} of {} runs were left out for want of time; --minutes with more does them too.",
                     outcome.left_out, all),
         fmt::format("시간이 모자라 {}번 중 {}번은 하지 않았습니다. --minutes를 늘리면 이어서 합니다.", all,
                     outcome.left_out)});
  }
  write_report(out, study, report);
  return 0;
}

}  // namespace

void add_lab(CLI::App& app, const std::string& program, Action& action) {
  auto arguments = std::make_shared<LabArguments>();
  LabArguments& a = *arguments;
  a.program = program;
  CLI::App& command = *app.add_subcommand("lab", "Answer a question about training by runs on this machine");
  std::string questions = "One of:";
  for (const lab::Study& study : lab::studies()) questions += fmt::format("\n{} - {}", study.name, study.question.en);
  command.add_option("QUESTION", a.question, questions)->required()->check(one_of(question_names()));
  command.add_option("--minutes", a.minutes, "Time for all of it; steps and seeds are chosen to fit")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const double minutes = std::strtod(text.c_str(), nullptr);
            if (minutes >= least_minutes && minutes <= most_minutes) return std::string();
            return fmt::format("--minutes is {}, it must be from {} to {}", text, least_minutes, most_minutes);
          },
          ""))
      ->capture_default_str()
      ->type_name("X");
  command
      .add_option("--data", a.sources,
                  "UTF-8 text to learn from, as one running text (default: the bundled names, one a line)")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--seeds", a.seeds, "Runs of each setting (default: 5, and down to 3 where time is short)")
      ->check(range("--seeds", 1, 1000))
      ->type_name("N");
  command.add_option("--out", a.out, "Folder for results.jsonl and the reports (default: lab/QUESTION)")
      ->type_name("DIR");
  add_threads(command);
  command.footer(
      "Each run has a process of its own with one thread; --threads says how many at a time. A study that was stopped\n"
      "goes on when the same command is called again.\n\n"
      "Examples:\n"
      "  gpt lab heads\n"
      "  gpt lab decay --minutes 20 --data shakespeare.txt");
  command.callback([arguments, &action] { action = [arguments] { return run_lab(*arguments); }; });
}

}  // namespace gpt
