// A function of the outputs of a call that becomes a loss: f(y), added over all outputs y, and its
// derivative. Regularizers of activity and losses of a program are such functions. Outputs of a
// slice are added in double in their order, slices by the fold, so that a loss has the same bits on
// any number of ranks.
#pragma once

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

  explicit operator bool() const { return add_values != nullptr && add_gradient != nullptr; }
};

/// l1 |y| + l2 y^2; the derivative of |y| at 0 is 0.
struct L1L2 {
  double l1 = 0;
  double l2 = 0;

  KEYSHARD_HD double value(float y) const {
    const double x = y;
    return l1 * (x < 0 ? -x : x) + l2 * x * x;
  }

  KEYSHARD_HD double derivative(float y) const {
    const double x = y;
    return l1 * (x > 0 ? 1 : x < 0 ? -1 : 0) + 2 * l2 * x;
  }
};

/// sums[s] = the values of f over the outputs of slice s, in order.
template <class F>
struct SumOfSlice {
  F function;
  const float* outputs;
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
template <class F>
struct AddDerivative {
  F function;
  const float* outputs;
  double scale;
  const float* upstream;
  float* out;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    out[i] = upstream[i] + static_cast<float>(scale * function.derivative(outputs[i]));
  }
};

/// The function of a functor with `double value(float) const` and `double derivative(float) const`,
/// both KEYSHARD_HD.
template <Backend B, class F>
OutputFunction<B> output_function(std::string name, const F& functor) {
  return {
      std::move(name),
      [functor](Stream<B>& stream, const float* outputs, Span<const std::int64_t> starts,
                double* sums) {
        for_each(stream, starts.size() - 1, SumOfSlice<F>{functor, outputs, starts.data(), sums});
      },
      [functor](Stream<B>& stream, const float* outputs, std::int64_t n, double scale,
                const float* upstream, float* out) {
        for_each(stream, n, AddDerivative<F>{functor, outputs, scale, upstream, out});
      }};
}

}  // namespace keyshard
