// Compiled by nvcc alone: the one home of CUB.
#include <algorithm>

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_scan.cuh>

#include "runtime/copy.hpp"
#include "runtime/cub.hpp"
#include "runtime/cuda_call.hpp"

namespace keyshard {
namespace {

/// Calls algorithm(memory, bytes) twice, as CUB asks: for the bytes that it needs, and to run.
template <class Algorithm>
void run_cub(Stream<Cuda>& stream, const Algorithm& algorithm) {
  stream.begin_launch();
  std::size_t bytes = 0;
  check_cuda(algorithm(nullptr, bytes), "CUB");
  Buffer<std::byte, Cuda> memory(stream,
                                 static_cast<std::int64_t>(std::max<std::size_t>(bytes, 1)));
  check_cuda(algorithm(memory.data(), bytes), "CUB");
}

/// The last element goes in as 0, so that the sums before it are all that it gets.
template <class T>
void scan_in_place(Stream<Cuda>& stream, T* values, std::int64_t n) {
  fill_zero(stream, values + n, 1);
  run_cub(stream, [&](void* memory, std::size_t& bytes) {
    return cub::DeviceScan::ExclusiveSum(memory, bytes, values, n + 1, stream.handle());
  });
}

template <class Key>
void sort_pairs_of(Stream<Cuda>& stream, Buffer<Key, Cuda>& keys,
                   Buffer<std::uint32_t, Cuda>& values, int bits) {
  const std::int64_t n = keys.size();
  Buffer<Key, Cuda> sorted_keys(stream, n);
  Buffer<std::uint32_t, Cuda> sorted_values(stream, n);
  run_cub(stream, [&](void* memory, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortPairs(memory, bytes, keys.data(), sorted_keys.data(),
                                           values.data(), sorted_values.data(), n, 0, bits,
                                           stream.handle());
  });
  keys = std::move(sorted_keys);
  values = std::move(sorted_values);
}

}  // namespace

void sums_before(Stream<Cuda>& stream, std::int64_t* values, std::int64_t n) {
  scan_in_place(stream, values, n);
}

void sums_before(Stream<Cuda>& stream, std::uint32_t* values, std::int64_t n) {
  scan_in_place(stream, values, n);
}

std::int64_t largest_value(Stream<Cuda>& stream, const std::int64_t* values, std::int64_t n) {
  Buffer<std::int64_t, Cuda> largest(stream, 1);
  run_cub(stream, [&](void* memory, std::size_t& bytes) {
    return cub::DeviceReduce::Max(memory, bytes, values, largest.data(), n, stream.handle());
  });
  return n == 0 ? 0 : std::max<std::int64_t>(value_at(stream, largest.data()), 0);
}

void sort_by_key(Stream<Cuda>& stream, Buffer<std::uint32_t, Cuda>& keys,
                 Buffer<std::uint32_t, Cuda>& values, int bits) {
  sort_pairs_of(stream, keys, values, bits);
}

void sort_by_key(Stream<Cuda>& stream, Buffer<std::uint64_t, Cuda>& keys,
                 Buffer<std::uint32_t, Cuda>& values, int bits) {
  sort_pairs_of(stream, keys, values, bits);
}

}  // namespace keyshard
