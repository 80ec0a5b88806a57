#include <variant>

#include "embedding/layers/reduce_stage.hpp"

namespace keyshard {
namespace {

/// One sample, by whichever combiner.
struct ReduceDoubles {
  std::size_t combiner;
  AxisVectors axis;
  float* out;
  std::uint8_t* out_present;

  template <class Team>
  void operator()(std::int64_t b, const Team& team) const {
    with_alternative<CombinersOf<double>>(
        combiner, [&](auto c) { built_in_axis<decltype(c)>(axis, out, out_present)(b, team); });
  }
};

struct ReduceDoublesGradient {
  std::size_t combiner;
  AxisVectors axis;
  const float* upstream;
  float* gradient;

  template <class Team>
  void operator()(std::int64_t b, const Team& team) const {
    with_alternative<CombinersOf<double>>(combiner, [&](auto c) {
      using C = decltype(c);
      ReduceAxisGradient<C>{built_in_axis<C>(axis, nullptr, nullptr), numbers_at<double>(upstream),
                            numbers_at<double>(gradient)}(b, team);
    });
  }
};

}  // namespace

void reduce_double_axis(Stream<Cpu>& stream, std::size_t combiner, const AxisVectors& axis,
                        float* out, std::uint8_t* out_present) {
  for_each_row(stream, axis.samples, ReduceDoubles{combiner, axis, out, out_present});
}

void reduce_double_axis_back(Stream<Cpu>& stream, std::size_t combiner, const AxisVectors& axis,
                             const float* upstream, float* gradient) {
  for_each_row(stream, axis.samples, ReduceDoublesGradient{combiner, axis, upstream, gradient});
}

}  // namespace keyshard
