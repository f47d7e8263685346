// The two element types of a tensor, the step from a run-time DType to a compile-time C++ type, and the names of types.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gradus/core/check.h>
#include <gradus/core/narrow_type.h>

namespace gradus {
#pragma GCC visibility push(default)

/// The type of the elements: float (32 bits) or double (64 bits).
enum class DType : unsigned char { f32, f64 };

constexpr std::size_t size_of(DType dtype) {
  return dtype == DType::f32 ? sizeof(float) : sizeof(double);
}
constexpr std::string_view name_of(DType dtype) {
  return dtype == DType::f32 ? "f32" : "f64";
}

template <class T>
constexpr DType dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "tensors hold float (f32) or double (f64)");
  return std::is_same_v<T, float> ? DType::f32 : DType::f64;
}

/// Calls f.template operator()<T>() with T = float or double: `dispatch(x.dtype(), [&]<class T>() { ... })`.
template <class F>
decltype(auto) dispatch(DType dtype, F&& f) {
  if (dtype == DType::f32) return std::forward<F>(f).template operator()<float>();
  return std::forward<F>(f).template operator()<double>();
}

constexpr std::string_view name_of(NarrowType type) {
  return type == NarrowType::bf16 ? "bf16" : type == NarrowType::int8 ? "int8" : "int4";
}

#pragma GCC visibility pop
}  // namespace gradus

template <>
struct fmt::formatter<gradus::NarrowType> : fmt::formatter<std::string_view> {
  auto format(gradus::NarrowType type, fmt::format_context& context) const {
    return gradus::write_text(*this, gradus::name_of(type), context);
  }
};

template <>
struct fmt::formatter<gradus::DType> : fmt::formatter<std::string_view> {
  auto format(gradus::DType dtype, fmt::format_context& context) const {
    return gradus::write_text(*this, gradus::name_of(dtype), context);
  }
};
