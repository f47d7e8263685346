// The parts of the document that the page of `gpt view` draws, a function for each. What a run does not have is null.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "view_run.h"

namespace gpt {

/// A text that the page looks at, cut to what the model and the page take.
struct ShownText {
  std::string text;
  std::vector<std::int32_t> ids;
  bool cut;  // whether it was longer
};

/// Three of the held-out part, or the one that was asked for. `most_tokens`: where they are cut. Throws Error for a
/// character that the model does not know.
std::vector<ShownText> shown_texts(const ViewRun& run, const std::optional<std::string>& asked,
                                   std::size_t most_tokens);

/// The flags with which the same training runs again, but for the folders of its files (view_command.cpp).
std::string command_of(const TrainArguments& recipe);

// Of the log and the recording (view_training.cpp).
Json loss_part(const ViewRun& run);
Json matrices_part(const ViewRun& run);
Json per_matrix_part(const ViewRun& run);
Json histograms_part(const ViewRun& run);
Json activations_part(const ViewRun& run);
Json samples_part(const ViewRun& run);

// Of the data (view_data.cpp).
/// What guessing costs on the held-out part, in nats per token: evenly, by how often each token comes, and by how often
/// it comes after the one before it; counted in the training part, with one added to each count.
Json baselines_part(const ViewRun& run);
/// Among tokens that the model was so sure of, how many came; of up to 20,000 held-out ones.
Json calibration_part(const ViewRun& run);

// What the model does with texts (view_texts.cpp).
struct TextParts {
  Json texts, entropy, previous;
  std::set<std::int32_t> vocab;  // the tokens that they show
};
TextParts text_parts(const ViewRun& run, const std::vector<ShownText>& texts);
/// One text in one state: attention, probabilities, lens, residual stream. Adds the tokens that it shows to `vocab`.
Json seen_part(const gradus::models::GPT& model, const ShownText& text, std::set<std::int32_t>& vocab);

/// The token embeddings on the two directions in which they differ most at the end (view_embedding.cpp).
Json embedding_part(const ViewRun& run, std::set<std::int32_t>& vocab);

/// The next step of the training, taken on one text: see view_step.cpp. Null without a checkpoint.
Json one_step_part(const ViewRun& run, const ShownText& text);

/// Every op of a text's loss with its values and gradients (view_graph.cpp).
Json graph_part(const ViewRun& run, const ShownText& text);

/// What this run shows that a reader should see, from the other parts of the document (view_warnings.cpp).
Json warnings_part(const Json& document);

/// What `gpt view` is asked to show.
struct ViewWish {
  std::string folder;
  std::vector<std::string> sources = {};  // the run's text, where that lies elsewhere now
  std::optional<std::string> text = {};   // to look at; else held-out ones
  bool quiet = false;
};
/// All of it as one JSON object, whose "left_out" says what it lacks (view_document.cpp). Throws Error where there is
/// no model.
Json view_document(const ViewWish& wish);
/// The same of a run that was read.
Json document_of(ViewRun& run, const std::optional<std::string>& text);
/// Puts what log and recording say now into a document of this run.
void update_progress(Json& document, const ViewRun& run);
/// What the page shows of a text that was typed: an element of "texts" with the newest weights alone, "vocab" for it,
/// "one_step", whose blame is that of this text, and "left_out", which says where it was cut. Throws Error for a
/// character that the model does not know.
Json typed_part(const ViewRun& run, const std::string& text);

}  // namespace gpt
