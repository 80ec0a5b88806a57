// A function of the outputs of a call that becomes a loss: f(y), added over all outputs y, and its
// derivative. Regularizers of activity and losses of a program are such functions. Outputs of a
// slice are added in double in their order, slices by the fold, so that a loss has the same bits on
// any number of ranks. Outputs are floats, or doubles on a CPU.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "runtime/for_each.hpp"
#include "runtime/portable.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

template <Backend B>
struct OutputFunction {
  /// Under which a program has registered the function (UserFunctions); empty: it has not, and
  /// get_config fails.
  std::string name;
  /// sums[s] = f(y) added over the outputs starts[s] .. starts[s + 1], for s in [0, slices). All
  /// arrays lie on the device.
  std::function<void(Stream<B>&, const float* outputs, Span<const std::int64_t> starts,
                     double* sums)>
      add_values;
  /// out[i] = upstream[i] + scale * f'(outputs[i]) for i in [0, n), on the device; `out` may be
  /// `upstream`.
  std::function<void(Stream<B>&, const float* outputs, std::int64_t n, double scale,
                     const float* upstream, float* out)>
      add_gradient;

  /// The same of outputs, upstream gradients and results that are doubles; null where the function
  /// is one of floats.
  std::function<void(Stream<B>&, const double* outputs, Span<const std::int64_t> starts,
                     double* sums)>
      add_double_values = {};
  std::function<void(Stream<B>&, const double* outputs, std::int64_t n, double scale,
                     const double* upstream, double* out)>
      add_double_gradient = {};

  explicit operator bool() const { return add_values != nullptr && add_gradient != nullptr; }

  bool takes_doubles() const {
    return add_double_values != nullptr && add_double_gradient != nullptr;
  }
};

/// l1 |y| + l2 y^2; the derivative of |y| at 0 is 0.
struct L1L2 {
  double l1 = 0;
  double l2 = 0;

  KEYSHARD_HD double value(double x) const { return l1 * (x < 0 ? -x : x) + l2 * x * x; }

  KEYSHARD_HD double derivative(double x) const {
    return l1 * (x > 0 ? 1 : x < 0 ? -1 : 0) + 2 * l2 * x;
  }
};

/// Whether a functor takes a double without a rounding: `double value(double) const`.
template <class F>
concept TakesDoubles = requires(const F& function, double y) {
  { function.value({y}) } -> std::convertible_to<double>;
  { function.derivative({y}) } -> std::convertible_to<double>;
};

/// sums[s] = the values of f over the outputs of slice s, in order.
template <class F, class T>
struct SumOfSlice {
  F function;
  const T* outputs;
  const std::int64_t* starts;
  double* sums;

  std::int64_t work() const { return 1 << 12; }

  KEYSHARD_HD void operator()(std::int64_t s) const {
    double sum = 0;
    for (std::int64_t i = starts[s]; i < starts[s + 1]; ++i) {
      sum += function.value(outputs[i]);
    }
    sums[s] = sum;
  }
};

/// out[i] = upstream[i] + scale * f'(outputs[i]).
template <class F, class T>
struct AddDerivative {
  F function;
  const T* outputs;
  double scale;
  const T* upstream;
  T* out;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    out[i] = upstream[i] + static_cast<T>(scale * function.derivative(outputs[i]));
  }
};

/// The two functions of a functor for outputs of type T.
template <Backend B, class T, class F>
auto values_adder(const F& functor) {
  return [functor](Stream<B>& stream, const T* outputs, Span<const std::int64_t> starts,
                   double* sums) {
    for_each(stream, starts.size() - 1, SumOfSlice<F, T>{functor, outputs, starts.data(), sums});
  };
}

template <Backend B, class T, class F>
auto gradient_adder(const F& functor) {
  return [functor](Stream<B>& stream, const T* outputs, std::int64_t n, double scale,
                   const T* upstream, T* out) {
    for_each(stream, n, AddDerivative<F, T>{functor, outputs, scale, upstream, out});
  };
}

/// The function of a functor with `double value(double) const` and `double derivative(double)
/// const`, both KEYSHARD_HD. With a float in place of the double it is one of layers whose outputs
/// are floats alone.
template <Backend B, class F>
OutputFunction<B> output_function(std::string name, const F& functor) {
  OutputFunction<B> function{std::move(name), values_adder<B, float>(functor),
                             gradient_adder<B, float>(functor)};
  if constexpr (std::same_as<B, Cpu> && TakesDoubles<F>) {
    function.add_double_values = values_adder<B, double>(functor);
    function.add_double_gradient = gradient_adder<B, double>(functor);
  }
  return function;
}

}  // namespace keyshard
