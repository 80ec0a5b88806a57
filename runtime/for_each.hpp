// Runs a functor over an index range on a device. `for_each` gives it an index; `for_each_row` an
// index and the team of lanes that shares the row. Functors are small trivially copyable structs
// with public fields and a const operator(); their result must not depend on the order of the
// indices.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/stream.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// functor(i) for i in [0, n). Asynchronous on `stream`.
template <class F>
void for_each(Stream<Cpu>& stream, std::int64_t n, const F& functor) {
  stream.threads().for_shares(n, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      functor(i);
    }
  });
}

/// functor(i, team) for i in [0, n). Asynchronous on `stream`.
template <class F>
void for_each_row(Stream<Cpu>& stream, std::int64_t n, const F& functor) {
  stream.threads().for_shares(n, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      functor(i, Solo{});
    }
  });
}

/// Runs over [0, n) in blocks on all threads: fetch(begin, end), then body(begin, end). For work
/// that waits for memory: `fetch` starts to load what the indices of the block need.
template <class Fetch, class Body>
void for_blocks(Stream<Cpu>& stream, std::int64_t n, std::int64_t block, const Fetch& fetch,
                const Body& body) {
  stream.threads().for_shares(n, [&](std::int64_t begin, std::int64_t end, int) {
    for (; begin < end; begin += block) {
      const std::int64_t next = std::min(begin + block, end);
      fetch(begin, next);
      body(begin, next);
    }
  });
}

/// functor(i, Solo) for i in [begin, end), on this thread.
template <class F>
void run_rows(std::int64_t begin, std::int64_t end, const F& functor) {
  for (std::int64_t i = begin; i < end; ++i) {
    functor(i, Solo{});
  }
}

}  // namespace keyshard
