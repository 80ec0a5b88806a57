// Doubles of the functions of runtime/cub.hpp, as operations of the simulated device: kernels of
// CUB have no host twins.
#include <algorithm>
#include <numeric>
#include <vector>

#include "runtime/copy.hpp"
#include "runtime/cub.hpp"
#include "tests/sim/device.hpp"
#include "tests/sim/queues.hpp"

namespace keyshard {
namespace {

template <class Work>
void give(Stream<Cuda>& stream, const Work& work) {
  stream.begin_launch();
  sim::enqueue(sim::queue_of(stream.handle()), [work] {
    work();
    return true;
  });
}

template <class T>
void scan_later(Stream<Cuda>& stream, T* values, std::int64_t n) {
  give(stream, [=] {
    values[n] = 0;
    std::exclusive_scan(values, values + n + 1, values, T{0});
  });
}

template <class Key>
void sort_later(Stream<Cuda>& stream, Buffer<Key, Cuda>& keys, Buffer<std::uint32_t, Cuda>& values,
                int bits) {
  give(stream, [key = keys.data(), value = values.data(), n = keys.size(), bits] {
    const Key mask =
        static_cast<Key>(~Key{0}) >> (8 * static_cast<int>(sizeof(Key)) - std::max(bits, 1));
    std::vector<std::pair<Key, std::uint32_t>> pairs;
    for (std::int64_t i = 0; i < n; ++i) {
      pairs.emplace_back(key[i], value[i]);
    }
    if (bits > 0) {
      std::stable_sort(pairs.begin(), pairs.end(), [mask](const auto& a, const auto& b) {
        return (a.first & mask) < (b.first & mask);
      });
    }
    for (std::int64_t i = 0; i < n; ++i) {
      std::tie(key[i], value[i]) = pairs[static_cast<std::size_t>(i)];
    }
  });
}

}  // namespace

void sums_before(Stream<Cuda>& stream, std::int64_t* values, std::int64_t n) {
  scan_later(stream, values, n);
}

void sums_before(Stream<Cuda>& stream, std::uint32_t* values, std::int64_t n) {
  scan_later(stream, values, n);
}

std::int64_t largest_value(Stream<Cuda>& stream, const std::int64_t* values, std::int64_t n) {
  std::int64_t largest = 0;
  give(stream, [=, out = &largest] {
    for (std::int64_t i = 0; i < n; ++i) {
      *out = std::max(*out, values[i]);
    }
  });
  stream.wait();
  return largest;
}

void sort_by_key(Stream<Cuda>& stream, Buffer<std::uint32_t, Cuda>& keys,
                 Buffer<std::uint32_t, Cuda>& values, int bits) {
  sort_later(stream, keys, values, bits);
}

void sort_by_key(Stream<Cuda>& stream, Buffer<std::uint64_t, Cuda>& keys,
                 Buffer<std::uint32_t, Cuda>& values, int bits) {
  sort_later(stream, keys, values, bits);
}

}  // namespace keyshard
