// A safetensors file of any bytes: it is read or it is an Error; what was read can be saved, comes back bit for bit,
// and saved once more gives the same file. A module takes it whole or is left as it was.
#include <gradus/nn/files/safetensors.h>

#include <algorithm>
#include <cstring>

#include <gradus/nn/init.h>
#include <gradus/nn/layers/linear.h>

#include "fuzz.h"

using namespace gradus;
using namespace gradus::fuzz;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  return a.numel() == 0 || dispatch(a.dtype(), [&]<class T>() {
           return std::memcmp(a.data<T>().data(), b.data<T>().data(), a.data<T>().size_bytes()) == 0;
         });
}

void check_round_trip(const nn::TensorFile& file) {
  const std::string once = folder() / "once", twice = folder() / "twice";
  nn::save_tensors(once, file.tensors, file.metadata);
  const nn::TensorFile again = nn::read_tensors(once);
  expect(again.metadata == file.metadata, "metadata come back");
  expect(again.tensors.size() == file.tensors.size(), "as many tensors come back");
  for (const auto& [name, x] : file.tensors) {
    const auto found = std::ranges::find(again.tensors, name, &nn::NamedTensors::value_type::first);
    expect(found != again.tensors.end() && same_bits(found->second, x), "every tensor comes back bit for bit");
  }
  nn::save_tensors(twice, again.tensors, again.metadata);
  expect(file_text(once) == file_text(twice), "saving what was read gives the same file");
}

// Layers with the names "weight" and "bias", as the seeds have them.
void check_loading(const std::string& path, bool strict) {
  static const nn::Linear layer(3, 2);
  const std::vector<double> weight = layer.weight.to_vector(), bias = layer.bias.to_vector();
  if (result_of([&] { return nn::load_safetensors(path, layer, {.strict = strict}); })) {
    nn::init::ones_(layer.weight);
    nn::init::zeros_(layer.bias);
  } else {
    expect(layer.weight.to_vector() == weight && layer.bias.to_vector() == bias, "a load that fails changes nothing");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = folder() / "input";
  write_file(path, text_of(data, size));
  const auto file = result_of([&] { return nn::read_tensors(path); });
  check_loading(path, true);
  if (!file) return 0;
  check_loading(path, false);
  check_round_trip(*file);
  return 0;
}
