// One reduction of an axis, whatever the combiner: a built-in one column by column
// (reduce_axis.hpp), one of the program vector by vector (reduce_own_axis.hpp).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "embedding/layers/reduce_axis.hpp"
#include "embedding/layers/reduce_own_axis.hpp"
#include "embedding/lookup/double_bags.hpp"
#include "embedding/rules/combiners.hpp"
#include "runtime/buffer.hpp"
#include "runtime/for_each.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

/// Vectors [samples, n, inner, dim] on the device, of which axis n goes. Doubles lie among floats.
struct AxisVectors {
  const float* in;
  std::int64_t samples;
  std::int64_t n;
  std::int64_t inner;
  std::int64_t dim;
  const std::uint8_t* present;  ///< [samples, n, inner]; null: all are
  float empty = 0;              ///< the result where none takes part
};

template <class C>
KEYSHARD_HD ReduceAxis<C> built_in_axis(const AxisVectors& axis, float* out,
                                        std::uint8_t* out_present) {
  using Number = typename C::Number;
  return {.in = numbers_at<Number>(axis.in),
          .n = axis.n,
          .columns = axis.inner * axis.dim,
          .empty = std::is_same_v<Number, double> ? static_cast<Number>(double_empty(axis.empty))
                                                  : static_cast<Number>(axis.empty),
          .out = numbers_at<Number>(out),
          .present = axis.present,
          .dim = axis.dim,
          .out_present = out_present};
}

/// The reduction by a combiner of the program, and its scratch in `items`.
template <class T, Backend B>
ReduceOwnAxis<T> own_axis(Stream<B>& stream, const OwnCombiner& combiner, const AxisVectors& axis,
                          Buffer<std::uint32_t, B>& items) {
  if (axis.present != nullptr) {
    items = {stream, axis.samples * axis.inner * axis.n};
  }
  return {combiner, numbers_at<T>(axis.in), axis.n,      axis.inner,
          axis.dim, axis.present,           items.data()};
}

template <class T, Backend B>
void reduce_own_axis(Stream<B>& stream, const OwnCombiner& combiner, const AxisVectors& axis,
                     float* out, std::uint8_t* out_present) {
  Buffer<std::uint32_t, B> items;
  for_each(stream, axis.samples * axis.inner,
           ReduceOwnAxisForward<T>{own_axis<T>(stream, combiner, axis, items), numbers_at<T>(out),
                                   out_present});
}

template <class T, Backend B>
void reduce_own_axis_back(Stream<B>& stream, const OwnCombiner& combiner, const AxisVectors& axis,
                          const float* upstream, float* gradient) {
  Buffer<std::uint32_t, B> items;
  for_each(stream, axis.samples * axis.inner,
           ReduceOwnAxisGradient<T>{own_axis<T>(stream, combiner, axis, items),
                                    numbers_at<T>(upstream), numbers_at<T>(gradient)});
}

/// The same for vectors of doubles, by the built-in combiner of that place in its family: launches
/// of one functor for all combiners (double_axis.cpp).
void reduce_double_axis(Stream<Cpu>& stream, std::size_t combiner, const AxisVectors& axis,
                        float* out, std::uint8_t* out_present);
void reduce_double_axis_back(Stream<Cpu>& stream, std::size_t combiner, const AxisVectors& axis,
                             const float* upstream, float* gradient);

/// out [samples, inner, dim], and which of these vectors are present; null: not wanted.
template <Backend B>
void reduce_axis(Stream<B>& stream, const AnyCombiner& combiner, ValueDtype dtype,
                 const AxisVectors& axis, float* out, std::uint8_t* out_present) {
  const auto* own = std::get_if<OwnCombiner>(&combiner);
  if constexpr (std::same_as<B, Cpu>) {
    if (dtype == ValueDtype::float64) {
      return own != nullptr ? reduce_own_axis<double>(stream, *own, axis, out, out_present)
                            : reduce_double_axis(stream, std::get<Combiner>(combiner).index(), axis,
                                                 out, out_present);
    }
  }
  if (own != nullptr) {
    return reduce_own_axis<float>(stream, *own, axis, out, out_present);
  }
  visit_variant(std::get<Combiner>(combiner), [&](auto c) {
    for_each_row(stream, axis.samples, built_in_axis<decltype(c)>(axis, out, out_present));
  });
}

/// gradient [samples, n, inner, dim] of the vectors; `upstream` is the gradient of the result.
template <Backend B>
void reduce_axis_back(Stream<B>& stream, const AnyCombiner& combiner, ValueDtype dtype,
                      const AxisVectors& axis, const float* upstream, float* gradient) {
  const auto* own = std::get_if<OwnCombiner>(&combiner);
  if constexpr (std::same_as<B, Cpu>) {
    if (dtype == ValueDtype::float64) {
      return own != nullptr ? reduce_own_axis_back<double>(stream, *own, axis, upstream, gradient)
                            : reduce_double_axis_back(stream, std::get<Combiner>(combiner).index(),
                                                      axis, upstream, gradient);
    }
  }
  if (own != nullptr) {
    return reduce_own_axis_back<float>(stream, *own, axis, upstream, gradient);
  }
  visit_variant(std::get<Combiner>(combiner), [&](auto c) {
    using C = decltype(c);
    for_each_row(
        stream, axis.samples,
        ReduceAxisGradient<C>{built_in_axis<C>(axis, nullptr, nullptr), upstream, gradient});
  });
}

}  // namespace keyshard
