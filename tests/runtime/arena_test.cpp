// Blocks out of mappings: released memory is used again, in any order of releases.
#include "runtime/arena.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/allocations.hpp"

namespace keyshard::testing {
namespace {

struct Block {
  void* data;
  std::size_t bytes;
};

std::vector<Block> allocate_all(Arena& arena, const std::vector<std::size_t>& sizes) {
  std::vector<Block> blocks;
  for (const std::size_t bytes : sizes) {
    blocks.push_back({arena.allocate(bytes), bytes});
  }
  return blocks;
}

std::vector<std::size_t> some_sizes(std::size_t count) {
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < count; ++i) {
    sizes.push_back(1 + i * 37 % 1000);
  }
  return sizes;
}

TEST(Arena, BlocksAreAlignedAndApart) {
  Arena arena;
  const std::vector<Block> blocks = allocate_all(arena, some_sizes(300));
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(blocks[b].data) % 64, 0u);
    std::memset(blocks[b].data, static_cast<int>(b % 251), blocks[b].bytes);
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const auto* bytes = static_cast<const unsigned char*>(blocks[b].data);
    for (std::size_t i = 0; i < blocks[b].bytes; ++i) {
      ASSERT_EQ(bytes[i], b % 251) << "block " << b;
    }
  }
}

TEST(Arena, ReleasedNeighboursMeltInAnyOrder) {
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    Arena arena;
    // The first mapping has 64 KiB: 16 blocks of 4 KiB fill it.
    std::vector<Block> blocks = allocate_all(arena, std::vector<std::size_t>(16, 4096));
    ASSERT_EQ(arena.bytes(), std::size_t{64} << 10);
    std::shuffle(blocks.begin(), blocks.end(), random);
    for (const Block& block : blocks) {
      arena.release(block.data, block.bytes);
    }
    arena.allocate(std::size_t{64} << 10);
    EXPECT_EQ(arena.bytes(), std::size_t{64} << 10) << "round " << round;
  }
}

TEST(Arena, ReleaseAllocatesNothing) {
  Arena arena;
  std::vector<Block> blocks = allocate_all(arena, some_sizes(2000));
  std::mt19937 random(1);
  for (int round = 0; round < 5; ++round) {
    std::shuffle(blocks.begin(), blocks.end(), random);
    const std::size_t kept = blocks.size() / 4;
    const std::int64_t before = allocations();
    for (std::size_t b = kept; b < blocks.size(); ++b) {
      arena.release(blocks[b].data, blocks[b].bytes);
    }
    EXPECT_EQ(allocations(), before) << "round " << round;
    blocks.resize(kept);
    for (const Block& block : allocate_all(arena, some_sizes(1500))) {
      blocks.push_back(block);
    }
  }
  EXPECT_GT(allocations(), 0);
}

}  // namespace
}  // namespace keyshard::testing
