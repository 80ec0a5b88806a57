#include "io/bad_lines.hpp"

#include <string>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"

namespace keyshard {
namespace {

/// The first bad line of the batch of all ranks: slices lie on ranks in their order.
std::string first_of_all(Communicator<Cpu>& communicator, const std::string& own) {
  for (const std::string& line : gather_texts(communicator, own)) {
    if (!line.empty()) {
      return line;
    }
  }
  return "";
}

}  // namespace

void BadLines::add(Communicator<Cpu>& communicator, const Batch& batch, std::int64_t of_all_ranks) {
  counts_.total += of_all_ranks;
  counts_.epoch += of_all_ranks;
  if (counts_.epoch > allowed_) {
    fail_together(Kind::bad_input, "{} (bad lines: {}, allowed: {})",
                  first_of_all(communicator, batch.first_bad_line), counts_.epoch, allowed_);
  }
}

void BadLines::add(Communicator<Cpu>& communicator, const Batch& batch) {
  std::int64_t sum = batch.bad_lines;
  communicator.all_reduce(Span<std::int64_t>(&sum, 1), Reduction::sum);
  add(communicator, batch, sum);
}

}  // namespace keyshard
