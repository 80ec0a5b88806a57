#include "tests/sim/memory.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <new>

#include <sys/mman.h>

#include "tests/sim/garbage.hpp"
#include "tests/sim/options.hpp"

namespace keyshard::sim {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kFence = 256;  // the bytes up to the next multiple are garbage for ever

std::size_t rounded(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

struct Area {
  char* pages;
  std::size_t mapped;
  std::size_t bytes;
};

struct Memory {
  std::recursive_mutex mutex;
  std::map<char*, Area> areas;          // by the first byte handed out
  std::map<char*, std::size_t> pinned;  // blocks of the host
  std::size_t bytes = 0;
  int openings = 0;
};

Memory& memory() {
  static Memory all;
  return all;
}

void fill_garbage(char* first, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    first[i] = static_cast<char>(garbage(i));
  }
}

void protect_all(int protection) {
  if (options().guard) {
    for (const auto& [first, area] : memory().areas) {
      mprotect(area.pages, area.mapped, protection);
    }
  }
}

}  // namespace

Opened::Opened() {
  const std::lock_guard lock(memory().mutex);
  if (memory().openings++ == 0) {
    protect_all(PROT_READ | PROT_WRITE);
  }
}

Opened::~Opened() {
  const std::lock_guard lock(memory().mutex);
  if (--memory().openings == 0) {
    protect_all(PROT_NONE);
  }
}

void* allocate(std::size_t bytes) {
  const std::size_t room = rounded(bytes == 0 ? 1 : bytes, kFence), mapped = rounded(room, kPage);
  void* all = mmap(nullptr, mapped + 2 * kPage, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) {
    throw std::bad_alloc();
  }
  char* pages = static_cast<char*>(all) + kPage;
  char* first = pages + (mapped - room);
  mprotect(pages, mapped, PROT_READ | PROT_WRITE);
  fill_garbage(first, room);
  const std::lock_guard lock(memory().mutex);
  memory().areas[first] = {pages, mapped, bytes};
  memory().bytes += bytes;
  if (memory().openings == 0 && options().guard) {
    mprotect(pages, mapped, PROT_NONE);
  }
  return first;
}

void release_memory(void* block) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().areas.find(static_cast<char*>(block));
  if (found == memory().areas.end()) {
    throw Failure("what is freed is no allocation of the device, or was freed before");
  }
  const Area area = found->second;
  mprotect(area.pages, area.mapped, PROT_READ | PROT_WRITE);
  bool overrun = false;
  for (std::size_t i = area.bytes; i < rounded(area.bytes == 0 ? 1 : area.bytes, kFence); ++i) {
    overrun |= static_cast<unsigned char>(found->first[i]) != garbage(i);
  }
  mprotect(area.pages, area.mapped, PROT_NONE);
  madvise(area.pages, area.mapped, MADV_DONTNEED);
  memory().areas.erase(found);
  memory().bytes -= area.bytes;
  if (overrun) {
    throw Failure("a kernel wrote behind the end of an allocation of " +
                  std::to_string(area.bytes) + " bytes");
  }
}

bool is_device(const void* address, std::size_t bytes) {
  const auto* at = static_cast<const char*>(address);
  const std::lock_guard lock(memory().mutex);
  auto found = memory().areas.upper_bound(const_cast<char*>(at));
  if (found == memory().areas.begin()) {
    return false;
  }
  --found;
  return at + bytes <= found->first + found->second.bytes;
}

std::size_t allocated_bytes() {
  const std::lock_guard lock(memory().mutex);
  return memory().bytes;
}

void* allocate_pinned(std::size_t bytes) {
  auto* block = static_cast<char*>(::operator new(bytes));
  fill_garbage(block, bytes);
  const std::lock_guard lock(memory().mutex);
  memory().pinned.emplace(block, bytes);
  return block;
}

void release_pinned(void* block) {
  const std::lock_guard lock(memory().mutex);
  memory().pinned.erase(static_cast<char*>(block));
  ::operator delete(block);
}

bool is_pinned(const void* address, std::size_t bytes) {
  const auto* at = static_cast<const char*>(address);
  const std::lock_guard lock(memory().mutex);
  auto found = memory().pinned.upper_bound(const_cast<char*>(at));
  if (found == memory().pinned.begin()) {
    return false;
  }
  --found;
  return at + bytes <= found->first + found->second;
}

}  // namespace keyshard::sim
