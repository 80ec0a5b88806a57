#include "tests/sim/nccl_board.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <nccl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace keyshard::sim {

/// Fresh memory of the system is zero: that is how a board begins.
struct Board::Shared {
  struct Rank {
    std::atomic<int> left, claimed, failure;
    char text[244];
  };

  std::atomic<int> joined, finished;
  Rank rank[kMostRanks];
  Ring rings[1];  ///< ranks x ranks
};

namespace {

std::size_t bytes_of(std::size_t shared, int ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  return shared + (n * n - 1) * sizeof(Ring);
}

}  // namespace

Board::Board(const std::string& name, int ranks, int me) : name_(name), ranks_(ranks), me_(me) {
  const std::size_t bytes = bytes_of(sizeof(Shared), ranks);
  const int file = shm_open(name.c_str(), O_CREAT | O_RDWR, 0600);
  void* all = MAP_FAILED;
  if (file >= 0 && ftruncate(file, static_cast<off_t>(bytes)) == 0) {
    all = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  if (file >= 0) {
    close(file);
  }
  if (all == MAP_FAILED) {
    throw std::runtime_error("shared memory cannot be had");
  }
  shared_ = static_cast<Shared*>(all);
  ++shared_->joined;
}

Board::~Board() {
  if (!complete_) {
    shm_unlink(name_.c_str());
  }
  munmap(shared_, bytes_of(sizeof(Shared), ranks_));
}

bool Board::complete() {
  if (!complete_ && shared_->joined == ranks_) {
    complete_ = true;
    shm_unlink(name_.c_str());  // nobody needs the name any more
  }
  return complete_;
}

void Board::finish() { ++shared_->finished; }

bool Board::all_finished() const { return shared_->finished == ranks_; }

void Board::leave() { shared_->rank[me_].left = 1; }

bool Board::has_left(int rank) const { return shared_->rank[rank].left != 0; }

Ring& Board::ring(int from, int to) const { return shared_->rings[from * ranks_ + to]; }

std::uint64_t Board::put(Ring& ring, const char* from, std::uint64_t bytes) {
  std::uint64_t at = ring.put, left = std::min(bytes, Ring::kBytes - (at - ring.got));
  const std::uint64_t all = left;
  while (left > 0) {
    const std::uint64_t run = std::min(left, Ring::kBytes - at % Ring::kBytes);
    std::memcpy(ring.data + at % Ring::kBytes, from, run);
    from += run;
    at += run;
    left -= run;
  }
  ring.put = at;
  return all;
}

std::uint64_t Board::get(Ring& ring, char* to, std::uint64_t bytes) {
  std::uint64_t at = ring.got, left = std::min(bytes, ring.put - at);
  const std::uint64_t all = left;
  while (left > 0) {
    const std::uint64_t run = std::min(left, Ring::kBytes - at % Ring::kBytes);
    std::memcpy(to, ring.data + at % Ring::kBytes, run);
    to += run;
    at += run;
    left -= run;
  }
  ring.got = at;
  return all;
}

void Board::advance(Transfer& transfer) {
  Ring& way = transfer.sends ? ring(me_, transfer.peer) : ring(transfer.peer, me_);
  if (!transfer.headed) {
    Header header{transfer.bytes, transfer.number};
    const std::uint64_t waiting = way.put - way.got;
    if (transfer.sends ? Ring::kBytes - waiting < sizeof header : waiting < sizeof header) {
      return;
    }
    char* bytes = reinterpret_cast<char*>(&header);
    transfer.sends ? put(way, bytes, sizeof header) : get(way, bytes, sizeof header);
    transfer.headed = true;
    if (!transfer.sends) {
      compare(transfer, header);
    }
  }
  if (failure() == ncclSuccess) {
    char* at = transfer.data + transfer.moved;
    const std::uint64_t left = transfer.bytes - transfer.moved;
    transfer.moved += transfer.sends ? put(way, at, left) : get(way, at, left);
  }
}

void Board::compare(const Transfer& expected, const Header& found) {
  if (found.bytes != expected.bytes || found.number != expected.number) {
    const std::string text = fmt::format(
        "rank {} expects {} bytes of rank {} as transfer {} between them: found {} bytes as "
        "transfer {}",
        me_, expected.bytes, expected.peer, expected.number, found.bytes, found.number);
    fail(me_, ncclInvalidUsage, text);
    fail(expected.peer, ncclInvalidUsage, text);
  }
}

std::uint64_t Board::left_over(int from) const {
  const Ring& way = ring(from, me_);
  return way.put - way.got;
}

void Board::fail(int rank, int result, const std::string& text) {
  Shared::Rank& of = shared_->rank[rank];
  if (of.claimed.exchange(1) == 0) {
    text.copy(of.text, sizeof of.text - 1);
    of.failure = result;
  }
}

int Board::failure() const { return shared_->rank[me_].failure; }

const char* Board::failure_text() const { return shared_->rank[me_].text; }

}  // namespace keyshard::sim
