#include "../op_table.h"

namespace gradus::testing {
namespace {

struct Equation {
  const char *name, *text;
  std::vector<Shape> shapes;
};

// The definition: a sum over every value of every letter. "..." stands for the letters Y and Z here.
Array by_definition(std::string text, Arrays x) {
  for (std::size_t dots = 0; (dots = text.find("...")) != text.npos;) text.replace(dots, 3, "YZ");
  const std::size_t arrow = text.find("->");
  const std::string result = text.substr(arrow + 2), letters = [&] {
    std::string all;
    for (const char c : text.substr(0, arrow)) {
      if (c != ',' && all.find(c) == all.npos) all += c;
    }
    return all;
  }();
  std::vector<std::string> parts(1);
  for (const char c : text.substr(0, arrow)) c == ',' ? parts.emplace_back() : parts.back() += c;
  const auto size_of = [&](char letter) {
    Index size = 1;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      for (std::size_t d = 0; d < parts[k].size(); ++d) {
        if (parts[k][d] == letter) size = std::max(size, x[k].shape[static_cast<Index>(d)]);
      }
    }
    return size;
  };
  Shape shape, summed;
  std::string order = result;
  for (const char c : result) shape.push_back(size_of(c));
  for (const char c : letters) {
    if (result.find(c) != result.npos) continue;
    summed.push_back(size_of(c));
    order += c;
  }
  return ref::make(shape, [&](const ref::Indices& i) {
    double sum = 0;
    ref::make(summed, [&](const ref::Indices& j) {
      ref::Indices all = i;
      all.insert(all.end(), j.begin(), j.end());
      double product = 1;
      for (std::size_t k = 0; k < parts.size(); ++k) {
        ref::Indices at;
        for (std::size_t d = 0; d < parts[k].size(); ++d) {
          const Index place = all[order.find(parts[k][d])];
          at.push_back(x[k].shape[static_cast<Index>(d)] == 1 ? 0 : place);
        }
        product *= x[k].at(at);
      }
      sum += product;
      return product;
    });
    return sum;
  });
}

void add_einsum(std::vector<OpRow>& rows) {
  const Equation all[] = {
      {"matmul", "ij,jk->ik", {{3, 4}, {4, 5}}},
      {"batched", "bij,bkj->bik", {{2, 3, 4}, {2, 5, 4}}},
      {"transposed_result", "ij,jk->ki", {{3, 4}, {4, 5}}},
      {"outer", "i,j->ij", {{3}, {4}}},
      {"sum", "ij->j", {{3, 4}}},
      {"trace", "ii->", {{4, 4}}},
      {"diagonal_twice", "iji,j->i", {{3, 4, 3}, {4}}},
      {"ellipsis", "...i,...ij->...j", {{2, 3, 4}, {2, 3, 4, 5}}},
      {"broadcast", "bi,bi->b", {{3, 1}, {3, 4}}},
      {"three", "ij,jk,kl->il", {{2, 3}, {3, 4}, {4, 2}}},
      {"alone_in_one", "ij,k->i", {{2, 3}, {4}}},
  };
  for (const Equation& one : all) {
    rows.push_back({.op = "einsum",
                    .variant = one.name,
                    .shapes = one.shapes,
                    .f = [text = one.text](In x) { return einsum(text, x); },
                    .reference = [text = one.text](Arrays x) { return by_definition(text, x); },
                    .torch = fmt::format("torch.einsum('{}', *x)", one.text),
                    .limits = {8, 8}});
  }
  rows.push_back({.op = "outer",
                  .variant = "",
                  .shapes = {{3}, {4}},
                  .f = [](In x) { return outer(x[0], x[1]); },
                  .reference = [](Arrays x) { return by_definition("i,j->ij", x); },
                  .limits = {2, 8}});
  rows.push_back({.op = "dot",
                  .variant = "",
                  .shapes = {{5}, {5}},
                  .f = [](In x) { return dot(x[0], x[1]); },
                  .reference = [](Arrays x) { return by_definition("i,i->", x); },
                  .domains = {Domain::positive},
                  .sized = GRADUS_SIZED({n}, {n}),
                  .limits = {8, 2}});
  rows.push_back({.op = "bmm",
                  .variant = "",
                  .shapes = {{2, 3, 4}, {2, 4, 5}},
                  .f = [](In x) { return bmm(x[0], x[1]); },
                  .reference = [](Arrays x) { return by_definition("bij,bjk->bik", x); },
                  .limits = {8, 8}});
}

const AddRows einsum_rows("einsum", add_einsum);

}  // namespace
}  // namespace gradus::testing
