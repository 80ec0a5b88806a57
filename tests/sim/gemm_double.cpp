// Doubles of the products of a device (launch/training/models/gemm.hpp): operations of the
// simulated device, with the products of a CPU.
#include <vector>

#include "launch/training/models/gemm.hpp"
#include "tests/sim/device.hpp"
#include "tests/sim/queues.hpp"

namespace keyshard {
namespace {

/// Gives the stream multiply(queue, group) of a CPU, with offsets that last as long.
template <class Multiply>
void give_product(Stream<Cuda>& stream, const SliceGroup& group, const Multiply& multiply) {
  const std::vector<std::int64_t> offsets(group.host_offsets,
                                          group.host_offsets + group.slices() + 1);
  stream.begin_launch();
  sim::enqueue(sim::queue_of(stream.handle()), [offsets, multiply] {
    Serial queue;
    const std::int64_t slices = static_cast<std::int64_t>(offsets.size()) - 1;
    multiply(queue, SliceGroup{{offsets.data(), slices}, offsets.data()});
    return true;
  });
}

}  // namespace

void multiply(Stream<Cuda>& queue, const SliceGroup& group, MatrixView<const float> a,
              MatrixView<const float> b, MatrixView<float> c) {
  give_product(queue, group,
               [=](Serial& host, const SliceGroup& slices) { multiply(host, slices, a, b, c); });
}

void multiply_transposed_left(Stream<Cuda>& queue, const SliceGroup& group,
                              MatrixView<const float> a, MatrixView<const float> b,
                              const SliceMatrices& c) {
  give_product(queue, group, [=](Serial& host, const SliceGroup& slices) {
    multiply_transposed_left(host, slices, a, b, c);
  });
}

void multiply_transposed_right(Stream<Cuda>& queue, const SliceGroup& group,
                               MatrixView<const float> a, MatrixView<const float> b,
                               MatrixView<float> c) {
  give_product(queue, group, [=](Serial& host, const SliceGroup& slices) {
    multiply_transposed_right(host, slices, a, b, c);
  });
}

}  // namespace keyshard
