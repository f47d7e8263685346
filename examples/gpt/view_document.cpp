// The parts put together, and what was left out of them said.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "numbers.h"
#include "view_parts.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;

constexpr std::size_t most_tokens = 48;  // of a text that is shown

// How many tokens of a text the page can take: attention grows with their square.
std::size_t tokens_shown(const ViewRun& run) {
  constexpr double budget = 4e6, texts = 3, bytes = 8.0 / 3;  // base64 of 16 bits
  const auto heads = static_cast<double>(run.config.n_layer * run.config.n_head * std::ssize(run.states));
  const auto fit = static_cast<std::size_t>(std::sqrt(budget / (texts * heads * bytes)));
  return std::clamp<std::size_t>(fit, 8, most_tokens);
}

const char* kind_of(const models::AnyTokenizer& tokenizer) {
  if (tokenizer.as<models::CharTokenizer>() != nullptr) return "characters";
  return tokenizer.as<models::ByteTokenizer>() != nullptr ? "bytes" : "bpe";
}

Json run_part(const ViewRun& run) {
  double seconds = 0;
  Index tokens_before = 0;
  Index best_step = 0;
  double best = std::numeric_limits<double>::infinity();
  for (const models::LogLine& line : run.log) {
    seconds += static_cast<double>(line.tokens - tokens_before) / std::max(line.tokens_per_second, 1e-9);
    tokens_before = line.tokens;
    if (line.val_loss && *line.val_loss < best) best = *line.val_loss, best_step = line.step;
  }
  return {{"name", std::filesystem::absolute(run.folder).lexically_normal().filename().string()},
          {"command", "gpt train --config config.json"},
          {"config", gradus::models::detail::parse_json(run.config.to_json(), "config")},
          {"settings", gradus::models::detail::parse_json(run.settings, "settings")},
          {"parameters", run.model().num_parameters()},
          {"tokenizer", kind_of(run.tokenizer)},
          {"vocab_size", run.tokenizer.vocab_size()},
          {"steps", run.step()},
          {"tokens", tokens_before},
          {"seconds", number(seconds, 6)},
          {"best_step", best_step},
          {"running", run.running},
          {"serve", false}};
}

void tell_cut(ViewRun& run, const std::vector<ShownText>& texts, std::size_t most) {
  const bool cut = std::ranges::any_of(texts, [&](const ShownText& text) { return text.ids.size() == most; });
  if (!cut) return;
  run.left_out.push_back(
      told(fmt::format("Texts are shown up to {} tokens; another text: gpt view DIR --text \"..\"", most),
           fmt::format("텍스트는 토큰 {}개까지만 보입니다. 다른 텍스트: gpt view DIR --text \"..\"", most)));
}

void tell_no_weights(ViewRun& run) {
  if (run.states.size() > 1) return;
  const bool large = run.model().num_parameters() > models::most_kept_parameters;
  run.left_out.push_back(told(
      large ? fmt::format("Attention, confidence, lens and map are of the last weights only: snapshots keep the "
                          "weights of models of up to {} parameters",
                          grouped(models::most_kept_parameters))
            : "Attention, confidence, lens and map are of the last weights only, since no others were recorded",
      large ? fmt::format("어텐션, 확신, 렌즈, 지도는 마지막 가중치로만 보입니다. 스냅숏은 파라미터 {}개 이하인 모델의 "
                          "가중치만 담습니다",
                          grouped(models::most_kept_parameters))
            : "기록된 다른 가중치가 없어서 어텐션, 확신, 렌즈, 지도는 마지막 가중치로만 보입니다"));
}

Json shown_vocab(const ViewRun& run, const std::set<std::int32_t>& ids) {
  Json vocab = Json::object();
  for (const std::int32_t id : ids) vocab[std::to_string(id)] = piece_of(run.tokenizer, id);
  return vocab;
}

}  // namespace

Json document_of(ViewRun& run, const std::optional<std::string>& text) {
  const std::size_t most = tokens_shown(run);
  const std::vector<ShownText> texts = shown_texts(run, text, most);
  tell_cut(run, texts, most);
  tell_no_weights(run);
  TextParts parts = text_parts(run, texts);
  Json document = {{"version", 1}, {"run", run_part(run)}};
  const auto put = [&](const char* key, Json part) {
    if (!part.is_null()) document[key] = std::move(part);
  };
  put("matrices", matrices_part(run));
  put("loss", loss_part(run));
  put("baselines", baselines_part(run));
  put("per_matrix", per_matrix_part(run));
  put("histograms", histograms_part(run));
  put("activations", activations_part(run));
  Json snapshots = Json::array();
  for (const ViewState& state : run.states) snapshots.push_back(state.step);
  document["snapshots"] = std::move(snapshots);
  put("texts", std::move(parts.texts));
  put("entropy", std::move(parts.entropy));
  put("previous", std::move(parts.previous));
  put("calibration", calibration_part(run));
  put("samples", samples_part(run));
  put("embedding", embedding_part(run, parts.vocab));
  if (!texts.empty() && texts.front().ids.size() >= 2) {  // a context of one token foretells nothing
    put("one_step", one_step_part(run, texts.front()));
    put("graph", graph_part(run, texts.front()));
  }
  if (!document.contains("one_step")) {
    run.left_out.push_back(told("The step of one weight needs a checkpoint and a text; one of the two is missing",
                                "가중치 하나의 스텝에는 체크포인트와 텍스트가 필요한데 둘 중 하나가 없습니다"));
  }
  document["vocab"] = shown_vocab(run, parts.vocab);
  document["warnings"] = warnings_part(document);
  document["left_out"] = std::move(run.left_out);
  return document;
}

Json view_document(const ViewWish& wish) {
  ViewRun run = read_view_run(wish.folder, wish.sources, wish.quiet);
  return document_of(run, wish.text);
}

Json typed_part(const ViewRun& run, const std::string& text) {
  const ShownText shown = shown_texts(run, text, tokens_shown(run)).front();
  std::set<std::int32_t> vocab(shown.ids.begin(), shown.ids.end());
  Json at = Json::array({seen_part(run.model(), shown, vocab)});
  Json one_step = one_step_part(run, shown);
  return {{"text", shown.text},
          {"ids", shown.ids},
          {"pieces", pieces_of(run.tokenizer, shown.ids)},
          {"at", std::move(at)},
          {"vocab", shown_vocab(run, vocab)},
          {"one_step", std::move(one_step)}};
}

}  // namespace gpt
