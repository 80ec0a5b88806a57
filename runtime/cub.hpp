// Algorithms over arrays of a CUDA device that CUB has: sums before each element, the largest
// element, stable sorts. They are asynchronous on the stream unless they say that they wait, and
// their results follow from the input alone.
#pragma once

#include <cstdint>

#include "runtime/buffer.hpp"

namespace keyshard {

/// values[i] becomes the sum of the values before i, for i in [0, n]; values[n] is not read.
void sums_before(Stream<Cuda>& stream, std::int64_t* values, std::int64_t n);
void sums_before(Stream<Cuda>& stream, std::uint32_t* values, std::int64_t n);

/// The largest of values [n], or 0 where none is larger. Waits.
std::int64_t largest_value(Stream<Cuda>& stream, const std::int64_t* values, std::int64_t n);

/// Sorts pairs stably by the lowest `bits` bits of their keys.
void sort_by_key(Stream<Cuda>& stream, Buffer<std::uint32_t, Cuda>& keys,
                 Buffer<std::uint32_t, Cuda>& values, int bits);
void sort_by_key(Stream<Cuda>& stream, Buffer<std::uint64_t, Cuda>& keys,
                 Buffer<std::uint32_t, Cuda>& values, int bits);

}  // namespace keyshard
