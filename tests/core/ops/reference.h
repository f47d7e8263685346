// What the op table compares with: the ops once more, in double, as loops over index lists that follow the definitions
// word for word. Slow, and sharing no code with the library but Shape.
#pragma once

#include <functional>
#include <vector>

#include <gradus/core/shape.h>

namespace gradus::testing {

struct Array {
  Shape shape;
  std::vector<double> values;

  double at(const std::vector<Index>& index) const;
};

namespace reference {

using Indices = std::vector<Index>;

/// An array of this shape whose element at each index is f(index).
Array make(const Shape& shape, const std::function<double(const Indices&)>& f);

Array map(const Array& x, const std::function<double(double)>& f);
/// NumPy's broadcasting, from the definition: align at the end, repeat what has size 1.
Shape broadcast_shape(const Shape& a, const Shape& b);
double broadcast_at(const Array& x, const Indices& index);
Array binary(const Array& a, const Array& b, const std::function<double(double, double)>& f);
Array where(const Array& condition, const Array& a, const Array& b);

Array permute(const Array& x, const std::vector<Index>& dims);
Array slice(const Array& x, Index dim, Index begin, Index end);
Array concat(const std::vector<Array>& parts, Index dim);
Array stack(const std::vector<Array>& parts, Index dim);

/// f over the elements that share all coordinates outside `dims` (not negative).
Array reduce(const Array& x, const std::vector<Index>& dims, bool keepdim,
             const std::function<double(const std::vector<double>&)>& f);
double sum_of(const std::vector<double>& values);
double max_of(const std::vector<double>& values);
double variance_of(const std::vector<double>& values, double correction);

/// As NumPy's matmul; a vector counts as a row on the left and as a column on the right.
Array matmul(Array a, Array b, bool transpose_a = false, bool transpose_b = false);
Array linear(const Array& x, const Array& weight, const Array* bias);

Array softmax(const Array& x, Index dim, bool logarithm);
Array layer_norm(const Array& x, const Array* weight, const Array* bias, double eps);
Array rms_norm(const Array& x, const Array* weight, double eps);

Array embedding(const Array& weight, const std::vector<std::int32_t>& ids, const Shape& ids_shape);
Array cross_entropy(const Array& logits, const std::vector<std::int32_t>& targets, std::int32_t ignore_index,
                    double label_smoothing);
Array attention(const Array& q, const Array& k, const Array& v, bool causal, double scale);
Array packed_attention(const Array& qkv, Index heads, const std::vector<Index>& lengths, bool causal, double scale);
/// Drops where the hash of an element's place and of two draws from a Mersenne Twister, as a fraction, is below p.
Array dropout(const Array& x, double p, std::uint32_t seed);

}  // namespace reference
}  // namespace gradus::testing
