#include "runtime/buffer.hpp"

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

std::int64_t allocations = 0;

// Not inlined: else g++ sees that memory of malloc goes to operator delete, and warns.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  return std::malloc(bytes);
}

[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }

[[gnu::noinline]] void operator delete(void* block, std::size_t /*bytes*/) noexcept {
  std::free(block);
}

namespace keyshard {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;

TEST(MemoryPool, HandsOutABlockThatCameBack) {
  MemoryPool<Cpu> pool;
  std::size_t capacity = 0, again = 0;
  void* block = pool.allocate(100'000, capacity);
  const std::size_t bytes = pool.bytes();
  pool.release(block, capacity);

  EXPECT_GE(capacity, 100'000u);
  EXPECT_EQ(pool.allocate(99'000, again), block);
  EXPECT_EQ(again, capacity);
  EXPECT_EQ(pool.bytes(), bytes);
  pool.release(block, again);
}

TEST(MemoryPool, HasRoomForAllOfItsBlocksBeforeTheyComeBack) {
  MemoryPool<Cpu> pool;
  std::vector<void*> blocks;
  std::size_t capacity = 0;
  for (int i = 0; i < 100; ++i) {
    blocks.push_back(pool.allocate(5000, capacity));
  }
  const std::int64_t before = allocations;
  for (void* block : blocks) {
    pool.release(block, capacity);
  }
  EXPECT_EQ(allocations, before) << "release is noexcept: it must not allocate";
  EXPECT_EQ(pool.allocate(5000, capacity), blocks.back());
}

TEST(MemoryPool, AlignsBlocksAndLargeOnesToHugePages) {
  MemoryPool<Cpu> pool;
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{5000}, kHuge - 1, kHuge, 3 * kHuge + 1}) {
    std::size_t capacity = 0;
    void* block = pool.allocate(bytes, capacity);

    EXPECT_GE(capacity, bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % (bytes >= kHuge ? kHuge : 64), 0u);
    pool.release(block, capacity);
  }
}

TEST(MemoryPool, SaysHowManyBytesTheSystemRefused) {
  MemoryPool<Cpu> pool;
  std::size_t capacity = 0;
  try {
    pool.allocate(std::size_t{1} << 60, capacity);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::out_of_memory);
    EXPECT_EQ(error.text(), "the system refused memory: bytes 1152921504606846976");
  }
}

TEST(Buffer, MovesAndGivesItsMemoryBack) {
  Stream<Cpu> stream;
  Buffer<float, Cpu> first(stream, 1000);
  float* data = first.data();
  first[999] = 7;

  Buffer<float, Cpu> second(std::move(first));
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(second.size(), 1000);
  EXPECT_EQ(second.span().back(), 7.0f);

  second = Buffer<float, Cpu>();
  EXPECT_EQ(second.size(), 0);
  EXPECT_EQ((Buffer<float, Cpu>(stream, 1000).data()), data);
}

TEST(Buffer, MayOutliveItsStream) {
  std::optional<Stream<Cpu>> stream(std::in_place);
  Buffer<std::int64_t, Cpu> buffer(*stream, 10);
  stream.reset();
  buffer[9] = 5;

  EXPECT_EQ(buffer[9], 5);
}

}  // namespace
}  // namespace keyshard
