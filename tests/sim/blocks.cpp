// Blocks of lanes, each lane a fiber: defines what runtime/sim_block.hpp declares. Never
// instrumented for threads itself: its own state would be reported. A lane allocates nothing here
// and calls nothing that ThreadSanitizer intercepts.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "runtime/sim_block.hpp"
#include "tests/sim/fiber.hpp"
#include "tests/sim/memory.hpp"
#include "tests/sim/options.hpp"

namespace keyshard::sim {
namespace {

constexpr int kWarp = 32;
constexpr std::int64_t kResidentBlocks = 2;  // whose lanes are interleaved

struct Lane;

/// Where the lanes of one team meet.
struct Meeting {
  int arrived = 0;
  Collective kind{};
  const char* file = nullptr;
  int line = 0;
  std::uint64_t in[kWarp];
  std::uint64_t out[kWarp];
  Lane* waiting[kWarp];
};

struct RunningBlock {
  std::int64_t index = -1;
  int alive = 0;
  std::vector<char> left;                        ///< by lane: whether it has left the kernel
  std::array<std::vector<Meeting>, 6> meetings;  ///< by log2 of the width of a team, then by team
};

struct Lane {
  Fiber fiber;
  RunningBlock* block = nullptr;
  int rank = 0;
  Meeting* at = nullptr;  ///< where it waits
};

/// A lane that is held up until the clock says `until`.
struct Sleeper {
  std::uint64_t until;
  Lane* lane;
};

/// One launch on one thread.
struct Engine {
  Engine(const Grid& grid_, void (*lane)(const void*), const void* work_)
      : grid(grid_), body(lane), work(work_), draw(options().seed) {}

  Grid grid;
  void (*body)(const void*);
  const void* work;
  Draw draw;
  Fiber host = fiber_of_thread();
  std::vector<Lane*> ready;
  std::vector<Sleeper> asleep;
  std::uint64_t clock = 0;
  Lane* now = nullptr;
  std::string failure;
  char began = 0,
       ended =
           0;  ///< two: a lane that starts after another has ended is still not ordered behind it
  bool simulating =
      false;  ///< the lane is inside this file, whose accesses are no concern of a kernel
};

thread_local Engine* engine = nullptr;

/// While a lane is inside the simulator.
struct Simulating {
  Simulating() { engine->simulating = true; }

  ~Simulating() { engine->simulating = false; }
};

/// Lanes of this thread, kept from launch to launch for their stacks.
struct LanePool {
  std::deque<Lane> lanes;

  ~LanePool() {
    for (Lane& lane : lanes) {
      destroy(lane.fiber);
    }
  }
};

thread_local LanePool pool;

std::string place(const char* file, int line) {
  const char* name = std::strrchr(file, '/');
  return std::string(name == nullptr ? file : name + 1) + ":" + std::to_string(line);
}

void give_up_lane(bool ended = false) {
  Lane& me = *engine->now;
  engine->now = nullptr;
  switch_to(me.fiber, engine->host, ended);
}

[[noreturn]] void refuse(std::string failure) {
  engine->failure = std::move(failure);
  for (;;) {
    give_up_lane();
  }
}

void leave() {
  Lane& me = *engine->now;
  RunningBlock& block = *me.block;
  block.left[static_cast<std::size_t>(me.rank)] = 1;
  --block.alive;
  for (std::size_t bits = 0; bits < block.meetings.size(); ++bits) {
    const Meeting& meeting = block.meetings[bits][static_cast<std::size_t>(me.rank) >> bits];
    if (meeting.arrived > 0) {
      refuse("lane " + std::to_string(me.rank) +
             " leaves the kernel while others of its team wait at " +
             place(meeting.file, meeting.line));
    }
  }
  me.block = nullptr;
}

void run_lane() {
  arrive(engine->host);
  acquire(&engine->began);
  engine->simulating = false;
  engine->body(engine->work);
  engine->simulating = true;
  release(&engine->ended);
  leave();
  give_up_lane(true);
}

/// Checks that the lane may come to a collective of its team.
void check_meeting(const Meeting& meeting, const RunningBlock& block, int rank, int width,
                   Collective kind, const char* file, int line) {
  const int first = rank / width * width;
  for (int other = first; other < first + width; ++other) {
    if (block.left[static_cast<std::size_t>(other)] != 0) {
      refuse("lane " + std::to_string(rank) + " is at a collective at " + place(file, line) +
             " but lane " + std::to_string(other) + " has left the kernel");
    }
  }
  if (meeting.arrived > 0 &&
      (meeting.kind != kind || meeting.line != line || std::strcmp(meeting.file, file) != 0)) {
    refuse("a collective in a branch: lane " + std::to_string(rank) + " is at " +
           place(file, line) + ", others of its team at " + place(meeting.file, meeting.line));
  }
}

/// What a collective of `width` lanes returns. Lanes that are faster may have begun the next one.
std::uint64_t answer_of(const Meeting& meeting, Collective kind, int width, int from) {
  if (kind == Collective::shfl) {
    return meeting.out[from & (width - 1)];
  }
  std::uint64_t mask = 0;
  for (int i = 0; i < width; ++i) {
    mask |= (meeting.out[i] & 1) << i;
  }
  return mask;
}

/// Starts the block `index` in the place of one that has ended.
void start_block(RunningBlock& block, std::int64_t index, std::size_t first_lane) {
  const auto lanes = static_cast<std::size_t>(engine->grid.lanes);
  block.index = index;
  block.alive = engine->grid.lanes;
  block.left.assign(lanes, 0);
  for (std::size_t bits = 0; bits < block.meetings.size(); ++bits) {
    block.meetings[bits].assign(lanes >> bits, Meeting{});
  }
  for (std::size_t rank = 0; rank < lanes; ++rank) {
    Lane& lane = pool.lanes[first_lane + rank];
    prepare(lane.fiber, run_lane);
    lane.block = &block;
    lane.rank = static_cast<int>(rank);
    lane.at = nullptr;
    engine->ready.push_back(&lane);
  }
}

/// Wakes those whose time has come, and all where nobody else can go on.
void wake_sleepers() {
  std::vector<Sleeper>& asleep = engine->asleep;
  for (std::size_t i = 0; i < asleep.size();) {
    if (engine->ready.empty() || asleep[i].until <= engine->clock) {
      engine->ready.push_back(asleep[i].lane);
      asleep[i] = asleep.back();
      asleep.pop_back();
    } else {
      ++i;
    }
  }
}

Lane* next_lane() {
  ++engine->clock;
  wake_sleepers();
  std::vector<Lane*>& ready = engine->ready;
  if (ready.empty()) {
    for (const Lane& lane : pool.lanes) {
      if (lane.block != nullptr && lane.at != nullptr) {
        throw Failure("lanes wait for ever: lane " + std::to_string(lane.rank) + " of block " +
                      std::to_string(lane.block->index) + " at " +
                      place(lane.at->file, lane.at->line));
      }
    }
    throw Failure("lanes wait for ever");
  }
  const std::size_t i = engine->draw() % ready.size();
  Lane* lane = ready[i];
  ready[i] = ready.back();
  ready.pop_back();
  return lane;
}

/// Runs all blocks, some of them at a time.
void run_engine() {
  const auto lanes = static_cast<std::size_t>(engine->grid.lanes);
  const std::int64_t residents = std::min(kResidentBlocks, engine->grid.blocks);
  std::vector<RunningBlock> blocks(static_cast<std::size_t>(residents));
  if (pool.lanes.size() < blocks.size() * lanes) {
    pool.lanes.resize(blocks.size() * lanes);
  }
  for (Lane& lane : pool.lanes) {
    lane.block = nullptr;
  }
  engine->ready.reserve(blocks.size() * lanes);
  engine->asleep.reserve(blocks.size() * lanes);
  release(&engine->began);
  std::int64_t next = 0, done = 0;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    start_block(blocks[b], next++, b * lanes);
  }
  while (done < engine->grid.blocks) {
    Lane* lane = next_lane();
    RunningBlock& block = *lane->block;
    engine->now = lane;
    switch_to(engine->host, lane->fiber, false);
    if (!engine->failure.empty()) {
      throw Failure(engine->failure);
    }
    if (lane->block == nullptr && block.alive == 0) {
      ++done;
      if (next < engine->grid.blocks) {
        start_block(block, next++, static_cast<std::size_t>(&block - blocks.data()) * lanes);
      }
    }
  }
  acquire(&engine->ended);
}

}  // namespace

int lane_in_block() { return engine->now->rank; }

int lanes_of_block() { return engine->grid.lanes; }

std::int64_t block_index() { return engine->now->block->index; }

std::int64_t blocks_of_grid() { return engine->grid.blocks; }

bool inside_kernel() { return engine != nullptr && engine->now != nullptr; }

void point() {
  if (!inside_kernel()) {
    return;
  }
  const Simulating here;
  const std::uint64_t drawn = engine->draw();
  if (drawn & 1) {
    return;
  }
  if ((drawn >> 1) % 16 == 0) {
    engine->asleep.push_back({engine->clock + (drawn >> 8) % 4096, engine->now});
    give_up_lane();
    return;
  }
  engine->ready.push_back(engine->now);
  give_up_lane();
}

std::uint64_t meet(int width, Collective kind, std::uint64_t word, int from, const char* file,
                   int line) {
  const Simulating here;
  Lane& me = *engine->now;
  const int bits = std::countr_zero(static_cast<unsigned>(width));
  const auto team = static_cast<std::size_t>(me.rank >> bits);
  Meeting& meeting = me.block->meetings[static_cast<std::size_t>(bits)][team];
  check_meeting(meeting, *me.block, me.rank, width, kind, file, line);
  if (meeting.arrived == 0) {
    meeting.kind = kind;
    meeting.file = file;
    meeting.line = line;
  }
  if (kind == Collective::sync) {
    release(&meeting);
  }
  meeting.in[me.rank & (width - 1)] = word;
  meeting.waiting[meeting.arrived++] = &me;
  me.at = &meeting;
  if (meeting.arrived == width) {
    for (int i = 0; i < width; ++i) {
      meeting.out[i] = meeting.in[i];
      meeting.waiting[i]->at = nullptr;
      engine->ready.push_back(meeting.waiting[i]);
    }
    meeting.arrived = 0;
  }
  give_up_lane();
  if (kind == Collective::sync) {
    acquire(&meeting);
  }
  return answer_of(meeting, kind, width, from);
}

void run_blocks(const Grid& grid, void (*lane)(const void*), const void* work) {
  if (grid.lanes <= 0 || grid.lanes > 1024 || grid.lanes % kWarp != 0) {
    throw Failure("expected a multiple of 32 lanes up to 1024: found " +
                  std::to_string(grid.lanes));
  }
  Engine launch(grid, lane, work);

  struct Running {
    explicit Running(Engine& launched) { engine = &launched; }

    ~Running() { engine = nullptr; }
  } running(launch);

  run_engine();
}

/// A plain access of a kernel, where the kernel is compiled with hooks (access_hooks.cpp).
void check_access(const void* address, std::size_t bytes, bool write, bool aligned) {
  if (engine->simulating) {
    return;
  }
  engine->simulating = true;
  const Lane& me = *engine->now;
  const auto* at = static_cast<const char*>(address);
  const auto* stack = static_cast<const char*>(me.fiber.stack);
  const auto* work = static_cast<const char*>(engine->work);
  const bool own = at >= stack && at < stack + me.fiber.stack_bytes;
  const bool parameter = !write && at >= work && at + bytes <= work + engine->grid.work_bytes;
  if (!own && !parameter && !is_device(address, bytes) && !is_pinned(address, bytes)) {
    refuse(std::string("a kernel ") + (write ? "writes " : "reads ") + std::to_string(bytes) +
           " bytes that are no memory of the device");
  }
  const std::size_t alignment =
      std::min<std::size_t>(bytes, 8);  // structs of 16 bytes have words of 8
  if (!own && aligned && reinterpret_cast<std::uintptr_t>(address) % alignment != 0) {
    refuse("a kernel uses a misaligned address: bytes " + std::to_string(bytes));
  }
  const bool gives_way = !own && (engine->draw() & 3) == 0;
  engine->simulating = false;
  if (gives_way) {
    point();
  }
}

}  // namespace keyshard::sim
