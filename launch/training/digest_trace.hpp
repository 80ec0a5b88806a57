// Digests of the tensors of every step, a line of text each. One run writes its digests to a file;
// another run compares its own digests with the file and names the first tensor that differs.
// Digests do not depend on the number of ranks and threads, so the two runs may differ in both.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include "collectives/communicator.hpp"
#include "runtime/digest.hpp"

namespace keyshard {

class DigestTrace {
 public:
  /// Rank 0 compares with the file `path` where it exists, and else writes it; the other ranks open
  /// nothing. Throws Error{io}.
  DigestTrace(std::string path, Communicator<Cpu>& communicator);

  /// Writes or compares the next tensor, of a stage of a step. Names hold no tabs and no newlines.
  /// A comparison begins with the first step that is added, which need not be the first step of the
  /// file. Throws Error{other_bits} on rank 0 where the file has another digest or tensor, or ends.
  void add(std::int64_t step, const std::string& stage, const std::string& tensor,
           const Digest128& digest);

  /// The same for a tensor that is spread over ranks: `slices` are the digests of the slices of
  /// this rank. Collective.
  void add_slices(std::int64_t step, const std::string& stage, const std::string& tensor,
                  Span<const Digest128> slices);

  /// Writes out what has been added. Throws Error{io}.
  void flush();

  /// What was done, for the user.
  std::string summary() const;

 private:
  void compare(std::int64_t step, const std::string& place, const std::string& hex);

  std::string path_;
  Communicator<Cpu>& communicator_;
  std::ifstream expected_;  // open where rank 0 compares
  std::ofstream written_;   // open where rank 0 writes
  std::int64_t line_ = 0;   // of expected_
  std::int64_t first_step_ = 0;
  std::int64_t last_step_ = 0;
};

}  // namespace keyshard
