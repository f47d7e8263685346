// GPT-2 as Hugging Face's libraries store it: a folder with config.json, model.safetensors and the tokenizer's files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/any_tokenizer.h>
#include <gradus/nn/files/safetensors.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// What load_gpt2 reads.
struct GPT2 {
  GPT model;
  std::optional<AnyTokenizer> tokenizer;    // empty: the folder has none of a kind that is known here
  std::vector<std::string> warnings;        // sentences: what was left out
  nn::Storage storage = nn::Storage::same;  // how the file has the numbers, if it has all of them in 16 bits
};

/// `path`: a folder with config.json and model.safetensors (or its parts and model.safetensors.index.json), or one of
/// these files of weights with config.json beside it. Names of tensors may begin with "transformer." or not; masks are
/// passed by. F64 gives a model in f64, everything else one in f32. Throws Error that says what is missing, does not
/// fit, or asks for something that a GPT here does not compute. PyTorch's pickles (.bin, .pt, .pth) are never read,
/// since they may run code: the Error says how to convert them.
GPT2 load_gpt2(const std::filesystem::path& path);

/// Whether load_gpt2 is the one to read `path`, or to say what is wrong with it: not for the folder of a run.
bool is_gpt2(const std::filesystem::path& path);

/// Writes config.json, model.safetensors and the tokenizer's files into the folder, which is made if it is not there;
/// Python's transformers reads them, and load_gpt2. Biases and gains that the model does not have are written as 0 and
/// 1, LoRAs are merged. Returns sentences about what could not be written: some tokenizers have no form there. Throws
/// Error for a model that is no GPT-2 (RMSNorm, a norm after the embeddings, none before the head), and when the disk
/// does not allow it.
std::vector<std::string> save_gpt2(const std::filesystem::path& folder, const GPT& model,
                                   const std::optional<AnyTokenizer>& tokenizer = {}, nn::SaveOptions options = {});

#pragma GCC visibility pop
}  // namespace gradus::models
