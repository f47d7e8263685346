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

constexpr std::size_t most_tokens = 48, least_tokens = 8;  // of a text that is shown

// About what texts of so many tokens take in the document: attention as base64 of 16 bits, which grows with the square
// of the tokens, and the likeliest tokens behind each block.
double bytes_of_texts(const ViewRun& run, std::size_t tokens) {
  constexpr double texts = 3, weight = 8.0 / 3, block = 53, position = 90;
  const auto T = static_cast<double>(tokens), layers = static_cast<double>(run.config.n_layer);
  const double attention = layers * static_cast<double>(run.config.n_head) * T * T * weight;
  return texts * static_cast<double>(run.states.size()) * (attention + T * ((layers + 1) * block + position));
}

constexpr double text_budget = 4e6;  // bytes

// How many tokens of a text the page can take.
std::size_t tokens_shown(const ViewRun& run) {
  std::size_t tokens = most_tokens;
  while (tokens > least_tokens && bytes_of_texts(run, tokens) > text_budget) --tokens;
  return tokens;
}

// Where even short texts are too much, every second snapshot shows them, or every fourth ..
void thin_states(ViewRun& run) {
  const std::size_t all = run.states.size();
  while (run.states.size() > 1 && bytes_of_texts(run, least_tokens) > text_budget) {
    std::vector<ViewState> kept;
    for (std::size_t i = (run.states.size() - 1) % 2; i < run.states.size(); i += 2) {
      kept.push_back(std::move(run.states[i]));  // the last is the model
    }
    run.states = std::move(kept);
  }
  if (run.states.size() == all) return;
  run.left_out.push_back(
      told(fmt::format("The model has so many heads that {} of its {} snapshots show what it does "
                       "with texts",
                       run.states.size(), all),
           fmt::format("헤드가 아주 많아서 스냅샷 {1}개 중 {0}개만 텍스트를 보여 줍니다", run.states.size(), all)));
}

// Less than 10 MB with what draws it. What a very large model has too much of is left out, and that is said.
void bound_size(Json& document, ViewRun& run) {
  constexpr std::size_t most = 9'000'000;
  std::size_t size = models::detail::dump(document).size();
  for (const char* const part : {"graph", "histograms", "one_step", "per_matrix", "embedding"}) {
    if (size <= most) return;
    if (!document.contains(part)) continue;
    size -= models::detail::dump(document[part]).size();
    document.erase(part);
    run.left_out.push_back(told(fmt::format("The model is so large that the page would not open with its {}", part),
                                fmt::format("모델이 너무 커서 페이지에 {} 부분을 담지 못했습니다", part)));
  }
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
          {"command", command_of(run.recipe)},
          {"config", gradus::models::detail::parse_json(run.config.to_json(), "config")},
          {"parameters", run.model().num_parameters()},
          {"tokenizer", kind_of(run.tokenizer)},
          {"vocab_size", run.tokenizer.vocab_size()},
          {"steps", run.log.empty() ? run.step() : std::max(run.step(), run.log.back().step)},
          {"tokens", tokens_before},
          {"seconds", number(seconds, 6)},
          {"best_step", best_step},
          {"running", run.running},
          {"serve", false}};
}

Json told_cut(const ViewRun& run, std::size_t most) {
  const std::size_t tokens = std::min(most, static_cast<std::size_t>(run.config.block_size));
  return told(fmt::format("Texts are shown up to {} tokens; another text: gpt view DIR --text \"..\"", tokens),
              fmt::format("텍스트는 토큰 {}개까지만 보입니다. 다른 텍스트: gpt view DIR --text \"..\"", tokens));
}

void tell_no_weights(ViewRun& run) {
  if (run.states.size() > 1) return;
  const bool large = run.model().num_parameters() > models::most_kept_parameters;
  run.left_out.push_back(told(
      large ? fmt::format("Attention, confidence, lens and map are of the last weights only: snapshots keep the "
                          "weights of models of up to {} parameters",
                          grouped(models::most_kept_parameters))
            : "Attention, confidence, lens and map are of the last weights only, since no others were recorded",
      large ? fmt::format("어텐션, 확신, 렌즈, 지도는 마지막 가중치로만 보입니다. 스냅샷은 파라미터 {}개 이하인 모델의 "
                          "가중치만 담습니다",
                          grouped(models::most_kept_parameters))
            : "기록된 다른 가중치가 없어서 어텐션, 확신, 렌즈, 지도는 마지막 가중치로만 보입니다"));
}

Json shown_vocab(const ViewRun& run, const std::set<std::int32_t>& ids) {
  Json vocab = Json::object();
  for (const std::int32_t id : ids) vocab[std::to_string(id)] = piece_of(run.tokenizer, id);
  return vocab;
}

// Why there is no step of one weight.
Json told_no_step(const ViewRun& run, const std::vector<ShownText>& texts) {
  std::error_code error;
  if (!std::filesystem::exists(run.folder / "train_state.safetensors", error)) {
    return told("The step of one weight needs a checkpoint, and the run has none",
                "가중치 하나의 스텝에는 체크포인트가 필요한데 이 실행에는 없습니다");
  }
  if (texts.empty() || texts.front().ids.size() < 2) {
    return told("The step of one weight needs a text of two tokens",
                "가중치 하나의 스텝에는 토큰이 두 개 이상인 텍스트가 필요합니다");
  }
  return told(
      fmt::format("The step of one weight is shown for {}, and this run has another optimizer",
                  models::default_optimizer),
      fmt::format("가중치 하나의 스텝은 {}만 보여 주는데 이 실행의 옵티마이저는 다릅니다", models::default_optimizer));
}

void put(Json& document, const char* key, Json part) {
  if (part.is_null()) {
    document.erase(key);
  } else {
    document[key] = std::move(part);
  }
}

}  // namespace

void update_progress(Json& document, const ViewRun& run) {
  document["run"] = run_part(run);
  put(document, "loss", loss_part(run));
  // A part that made the document too large stays away.
  if (document.contains("per_matrix")) put(document, "per_matrix", per_matrix_part(run));
  document["warnings"] = warnings_part(document);
}

Json document_of(ViewRun& run, const std::optional<std::string>& text) {
  thin_states(run);
  const std::size_t most = tokens_shown(run);
  const std::vector<ShownText> texts = shown_texts(run, text, most);
  if (std::ranges::any_of(texts, &ShownText::cut)) run.left_out.push_back(told_cut(run, most));
  tell_no_weights(run);
  TextParts parts = text_parts(run, texts);
  Json document = {{"version", 1}, {"run", run_part(run)}};
  put(document, "matrices", matrices_part(run));
  put(document, "loss", loss_part(run));
  if (run.baselines.is_null()) run.baselines = baselines_part(run);
  put(document, "baselines", run.baselines);
  put(document, "per_matrix", per_matrix_part(run));
  put(document, "histograms", histograms_part(run));
  put(document, "activations", activations_part(run));
  Json snapshots = Json::array();
  for (const ViewState& state : run.states) snapshots.push_back(state.step);
  document["snapshots"] = std::move(snapshots);
  put(document, "texts", std::move(parts.texts));
  put(document, "entropy", std::move(parts.entropy));
  put(document, "previous", std::move(parts.previous));
  put(document, "calibration", calibration_part(run));
  put(document, "samples", samples_part(run));
  put(document, "embedding", embedding_part(run, parts.vocab));
  if (!texts.empty() && texts.front().ids.size() >= 2) {  // a context of one token foretells nothing
    put(document, "one_step", one_step_part(run, texts.front()));
    put(document, "graph", graph_part(run, texts.front()));
  }
  if (!document.contains("one_step")) run.left_out.push_back(told_no_step(run, texts));
  document["vocab"] = shown_vocab(run, parts.vocab);
  bound_size(document, run);
  document["warnings"] = warnings_part(document);
  document["left_out"] = std::move(run.left_out);
  return document;
}

Json view_document(const ViewWish& wish) {
  ViewRun run = read_view_run(wish.folder, wish.sources, wish.quiet);
  return document_of(run, wish.text);
}

Json typed_part(const ViewRun& run, const std::string& text) {
  const std::size_t most = tokens_shown(run);
  const ShownText shown = shown_texts(run, text, most).front();
  std::set<std::int32_t> vocab(shown.ids.begin(), shown.ids.end());
  Json at = Json::array({seen_part(run.model(), shown, vocab)});
  Json one_step = one_step_part(run, shown);
  return {{"text", shown.text},
          {"ids", shown.ids},
          {"pieces", pieces_of(run.tokenizer, shown.ids)},
          {"at", std::move(at)},
          {"vocab", shown_vocab(run, vocab)},
          {"one_step", std::move(one_step)},
          {"left_out", shown.cut ? Json::array({told_cut(run, most)}) : Json::array()}};
}

}  // namespace gpt
