#include "tests/support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace keyshard::testing {
namespace {

std::atomic<std::int64_t> count{0};

}  // namespace

std::int64_t allocations() { return count.load(); }

}  // namespace keyshard::testing

void* operator new(std::size_t bytes) {
  keyshard::testing::count.fetch_add(1);
  if (void* memory = std::malloc(bytes > 0 ? bytes : 1)) {
    return memory;
  }
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { std::free(memory); }

void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
