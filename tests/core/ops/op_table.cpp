// The table, put together from rows/, and the values that its inputs take.
#include "op_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <ostream>
#include <random>

namespace gradus::testing {
namespace {

// By file, so that the order does not hang on the linker's. Made by the first of them, whichever that is.
std::map<std::string, AddRows::Add>& files() {
  static std::map<std::string, AddRows::Add> all;
  return all;
}

// One number of a domain. `uniform` gives numbers between two others, `coin` 0 or 1.
template <class Uniform, class Coin>
double number_of(Domain domain, const Uniform& uniform, const Coin& coin) {
  switch (domain) {
    case Domain::any:
    case Domain::distinct:
      return uniform(-2, 2);
    case Domain::wide:
      return uniform(-20, 20);
    case Domain::low:
      return uniform(-20, 2);
    case Domain::positive:
      return uniform(0.5, 2);
    case Domain::nonzero: {
      const double size = uniform(0.2, 2);
      return coin() == 0 ? size : -size;
    }
    case Domain::whole:
      return std::floor(uniform(0, 1000)) / 1024;
    case Domain::flags:
      return coin();
    case Domain::part:
      return uniform(-0.95, 0.95);
  }
  return 0;
}

}  // namespace

AddRows::AddRows(const char* file, Add add) {
  files().emplace(file, add);
}

const std::vector<OpRow>& op_table() {
  static const std::vector<OpRow> rows = [] {
    std::vector<OpRow> all;
    for (const auto& [file, add] : files()) add(all);
    return all;
  }();
  return rows;
}

void PrintTo(const OpRow* row, std::ostream* out) {
  *out << row->name();
}

std::vector<Array> make_inputs(const OpRow& row, const std::vector<Shape>& shapes) {
  std::uint32_t seed = 2166136261U;  // FNV-1a of the name
  for (const char c : row.name()) seed = (seed ^ static_cast<unsigned char>(c)) * 16777619U;
  std::mt19937 engine(seed);
  const auto between = [&](double low, double high) {
    return static_cast<double>(
        static_cast<float>(low + (high - low) * static_cast<double>(engine() % 1'000'003) / 1'000'003));
  };
  const auto coin = [&] { return engine() % 2 == 0 ? 0.0 : 1.0; };
  std::vector<Array> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const Domain domain = row.domains[std::min(i, row.domains.size() - 1)];
    Array x{shapes[i], std::vector<double>(static_cast<std::size_t>(shapes[i].numel()))};
    if (domain == Domain::distinct) {
      for (std::size_t j = 0; j < x.values.size(); ++j) x.values[j] = (static_cast<double>(j) - 5) / 16;
      std::shuffle(x.values.begin(), x.values.end(), engine);
    } else {
      for (double& value : x.values) value = number_of(domain, between, coin);
    }
    inputs.push_back(std::move(x));
  }
  return inputs;
}

std::vector<std::int32_t> picks(Index count, Index below, std::int32_t every_third) {
  std::vector<std::int32_t> ids;
  for (Index i = 0; i < count; ++i) {
    const Index id = (i * 7 + 3) % std::max<Index>(1, below);
    ids.push_back(every_third >= 0 || i % 3 != 1 ? static_cast<std::int32_t>(id) : every_third);
  }
  return ids;
}

}  // namespace gradus::testing
