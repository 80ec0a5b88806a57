// Where the ranks of a doubled NCCL communicator meet: memory that processes, or threads of one
// process, find by the communicator's id. For each ordered pair of ranks there is a ring of bytes;
// ahead of each transfer its size travels.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace keyshard::sim {

inline constexpr int kMostRanks = 32;

/// What one rank gives to one other.
struct Ring {
  static constexpr std::uint64_t kBytes = 16 << 10;

  std::atomic<std::uint64_t> put{0}, got{0};
  char data[kBytes];
};

/// A send or a receive under way.
struct Transfer {
  bool sends;
  char* data;
  std::uint64_t bytes;
  int peer;
  std::uint64_t number;  ///< counted for its pair of ranks and direction
  std::uint64_t moved = 0;
  bool headed = false;  ///< its size has travelled

  bool done() const { return headed && moved == bytes; }
};

/// The view that one rank has of the meeting place.
class Board {
 public:
  /// Opens, or makes, the board of this name. Throws std::runtime_error.
  Board(const std::string& name, int ranks, int me);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  int ranks() const { return ranks_; }

  int me() const { return me_; }

  /// Whether all ranks have come.
  bool complete();

  /// This rank has no more to do.
  void finish();
  bool all_finished() const;
  /// This rank goes without having finished.
  void leave();
  bool has_left(int rank) const;

  /// Moves what there is to move.
  void advance(Transfer& transfer);

  /// Bytes that a rank has sent to this one, and that this one has not received.
  std::uint64_t left_over(int from) const;

  /// A failure of this rank, or of a peer whose transfer does not fit. The first one stays.
  void fail(int rank, int result, const std::string& text);
  int failure() const;  ///< of this rank: an ncclResult_t
  const char* failure_text() const;

 private:
  struct Shared;

  struct Header {
    std::uint64_t bytes, number;
  };

  Ring& ring(int from, int to) const;
  /// Moves as many of the bytes as fit and returns how many.
  static std::uint64_t put(Ring& ring, const char* from, std::uint64_t bytes);
  static std::uint64_t get(Ring& ring, char* to, std::uint64_t bytes);
  void compare(const Transfer& expected, const Header& found);

  std::string name_;
  int ranks_, me_;
  bool complete_ = false;
  Shared* shared_;
};

}  // namespace keyshard::sim
