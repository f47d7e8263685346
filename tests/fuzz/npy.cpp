// An .npy or .npz file of any bytes: it is read or it is an Error; what was read can be saved and comes back bit for
// bit, and integers that are ids are the same as those that are numbers.
#include <gradus/nn/files/npy.h>

#include <cstring>

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

void check_array(const std::string& path) {
  const auto ids = result_of([&] { return nn::load_npy_ids(path); });
  const auto x = result_of([&] { return nn::load_npy(path); });
  if (ids) expect(x && x->shape() == ids->shape(), "what is read as ids can be read as numbers");
  if (ids) expect(x->to_vector() == std::vector<double>(ids->begin(), ids->end()), "ids are the numbers");
  if (!x) return;
  const std::string copy = folder() / "copy";
  nn::save_npy(copy, *x);
  expect(same_bits(nn::load_npy(copy), *x), "an array comes back bit for bit");
}

void check_archive(const std::string& path) {
  const auto arrays = result_of([&] { return nn::load_npz(path); });
  if (!arrays) return;
  const std::string copy = folder() / "copy";
  nn::save_npz(copy, *arrays);
  const nn::NamedTensors again = nn::load_npz(copy);
  expect(again.size() == arrays->size(), "as many arrays come back");
  for (std::size_t i = 0; i < again.size(); ++i) {
    const auto& [name, x] = (*arrays)[i];
    expect(again[i].first == name && same_bits(again[i].second, x), "every array comes back bit for bit");
    expect(same_bits(nn::load_npz(path, name), x), "an array alone is the one among all");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = folder() / "input";
  write_file(path, text_of(data, size));
  check_array(path);
  check_archive(path);
  return 0;
}
