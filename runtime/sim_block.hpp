// Blocks of lanes that a host simulates, for the host twins of kernels (runtime/launch_cuda.hpp).
// Each lane is a fiber, and which lane goes next is drawn from a seed. Declared alone: tests/sim
// defines what stands here, and programs are built without KEYSHARD_SIM and this header. The names
// are those of cooperative groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "runtime/portable.hpp"

namespace keyshard::sim {

// What a lane can ask while it runs. No device runs these functions, but nvcc compiles what calls
// them for both sides.
KEYSHARD_HD int lane_in_block();
KEYSHARD_HD int lanes_of_block();
KEYSHARD_HD std::int64_t block_index();
KEYSHARD_HD std::int64_t blocks_of_grid();

/// Whether the calling thread is a lane.
KEYSHARD_HD bool inside_kernel();

/// A place where another lane may go first: atomic operations call it.
KEYSHARD_HD void point();

enum class Collective : std::uint8_t { sync, any, all, ballot, shfl };

/// All `width` lanes of a team come here with the same collective from the same line. Returns the
/// word of lane `from` for shfl, else a bit per lane. Only `sync` orders memory, as on a device.
/// Throws on the launching thread where a lane is missing or elsewhere.
KEYSHARD_HD std::uint64_t meet(int width, Collective kind, std::uint64_t word, int from,
                               const char* file, int line);

struct Grid {
  std::int64_t blocks;
  int lanes;               ///< of a block: a multiple of 32, at most 1024
  std::size_t work_bytes;  ///< of the parameter of the kernel
};

/// Runs lane(work) on all lanes of all blocks, and returns when they are done.
void run_blocks(const Grid& grid, void (*lane)(const void* work), const void* work);

/// The host twin of a kernel whose one parameter has `work_bytes` bytes.
struct HostTwin {
  void (*run)(std::int64_t blocks, int lanes, const void* work);
  std::size_t work_bytes;
};

/// Says which twin runs when the kernel of `stub` is launched.
void register_kernel(const void* stub, const HostTwin& twin);

/// A team of W lanes: consecutive lanes of a block.
template <int W>
struct Team {
  KEYSHARD_HD static constexpr int num_threads() { return W; }

  KEYSHARD_HD int thread_rank() const { return lane_in_block() % W; }

  KEYSHARD_HD void sync(const char* file = __builtin_FILE(), int line = __builtin_LINE()) const {
    meet(W, Collective::sync, 0, 0, file, line);
  }

  KEYSHARD_HD bool any(bool value, const char* file = __builtin_FILE(),
                       int line = __builtin_LINE()) const {
    return meet(W, Collective::any, value, 0, file, line) != 0;
  }

  KEYSHARD_HD bool all(bool value, const char* file = __builtin_FILE(),
                       int line = __builtin_LINE()) const {
    return meet(W, Collective::all, !value, 0, file, line) == 0;
  }

  KEYSHARD_HD unsigned ballot(bool value, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) const {
    return static_cast<unsigned>(meet(W, Collective::ballot, value, 0, file, line));
  }

  template <class T>
  KEYSHARD_HD T shfl(T value, int from, const char* file = __builtin_FILE(),
                     int line = __builtin_LINE()) const {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    word = meet(W, Collective::shfl, word, from, file, line);
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
};

/// The block of the calling lane.
struct Block {
  KEYSHARD_HD std::int64_t index() const { return block_index(); }

  KEYSHARD_HD std::int64_t blocks() const { return blocks_of_grid(); }

  KEYSHARD_HD int lane() const { return lane_in_block(); }

  KEYSHARD_HD int lanes() const { return lanes_of_block(); }

  template <int W>
  KEYSHARD_HD Team<W> team() const {
    return {};
  }
};

}  // namespace keyshard::sim
