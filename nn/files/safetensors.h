// Files of named tensors in the safetensors format (huggingface.co/docs/safetensors), which Python reads and writes
// too: eight bytes of header length, a JSON header, the numbers. F32 and F64, and F16 and BF16 as f32; tensors of
// integers and bools are skipped. Files written here carry checksums in the metadata entry "checksum", which reading
// verifies; files without checksums are read unverified.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

using Metadata = std::map<std::string, std::string>;

/// The contents of a file.
struct TensorFile {
  NamedTensors tensors;  // in the order of their data
  Metadata metadata;
  std::map<std::string, std::string> skipped = {};  // tensors of integers and bools: their types by name
  std::map<std::string, std::string> narrow = {};   // tensors that the file has in 16 bits: "F16" or "BF16" by name
};

/// How a file has the numbers: as the tensors have them, or in 16 bits, rounded to the nearest, ties to even.
enum class Storage { same, f16, bf16 };

struct SaveOptions {
  Storage storage = Storage::same;
};

/// Writes the whole file or nothing: on any failure Error is thrown and an older file of that name is unchanged. Throws
/// Error too for a number that 16 bits cannot hold (F16 ends at 65504).
void save_tensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {},
                  SaveOptions options = {});
/// `path`: a file, or the index of several (model.safetensors.index.json), which are read as one. Throws Error, naming
/// the file and what is wrong with it, for anything that is not exactly such a file.
TensorFile read_tensors(const std::string& path);
/// Reads only the header, in the same time for a file of any size; damaged numbers go unnoticed.
Metadata read_metadata(const std::string& path);

/// Every parameter and buffer by its name; a tied weight once, under its first name.
void save_safetensors(const std::string& path, const Module& module, const Metadata& metadata = {});

struct LoadOptions {
  bool strict = true;  // false: missing and unexpected names are allowed, and returned
};

/// What a load that is not strict left out, and the file's metadata.
struct LoadReport {
  std::vector<std::string> missing;     // parameters and buffers that the file lacks: they kept their values
  std::vector<std::string> unexpected;  // names in the file that the module does not have
  Metadata metadata;
};

/// Fills the module's parameters and buffers by name, converting between f32 and f64. A tied weight is found under any
/// of its names. PyTorch's BatchNorm counters, *.num_batches_tracked, are no mistake: a strict load ignores them.
/// Throws one Error that lists missing, unexpected and misshapen entries; the module is then unchanged.
LoadReport load_safetensors(const std::string& path, const Module& module, LoadOptions options = {});
/// The same from tensors in memory; `source` names them in errors.
LoadReport load_state(const Module& module, const TensorFile& file, const std::string& source,
                      LoadOptions options = {});

#pragma GCC visibility pop
}  // namespace gradus::nn
