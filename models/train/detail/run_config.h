// config.json and tokenizer.json, which a run folder has as files and every weights file as a copy in its metadata.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/train/data_origin.h>
#include <gradus/nn/files/safetensors.h>

namespace gradus::models::detail {

inline constexpr const char* config_file = "config.json";
inline constexpr const char* tokenizer_file = "tokenizer.json";
inline constexpr const char* state_file = "train_state.safetensors";
inline constexpr const char* older_folder = "checkpoints";
inline constexpr const char* log_file = "log.jsonl";
inline constexpr const char* record_file = "record.jsonl";
inline constexpr const char* snapshots_folder = "snapshots";
inline constexpr const char* staged_snapshots = "snapshots.new";  // those that are to replace others

struct RunConfig {
  GPTConfig model;
  AnyTokenizer tokenizer;
  RunData data;
  std::string settings;
};

/// The entries "config.json" and "tokenizer.json", with the texts of these files.
nn::Metadata to_metadata(const GPTConfig& model, const Tokenizer& tokenizer, const RunData& data,
                         const std::string& settings);
/// From a file's metadata or else from the files beside it, checked against each other and against how many numbers
/// `tensors` hold. Throws Error that names the file in which something is wrong.
RunConfig read_config(const nn::Metadata& metadata, const nn::NamedTensors& tensors, const std::string& path);

/// Entries "step" and "held_out_loss", those of them that are known.
void add_moment(nn::Metadata& metadata, const Moment& moment);
Moment moment_in(const nn::Metadata& metadata);

}  // namespace gradus::models::detail
