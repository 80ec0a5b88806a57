#include "collectives/vote.hpp"

#include <exception>
#include <new>
#include <string>

#include "collectives/texts.hpp"
#include "runtime/error.hpp"

namespace keyshard {

void vote(Communicator<Cpu>& communicator, const std::function<void()>& body) {
  constexpr std::int64_t kFine = -1;
  std::int64_t kind = kFine;
  std::string text;
  try {
    body();
  } catch (const Error& error) {
    kind = static_cast<std::int64_t>(error.kind());
    text = error.text();
  } catch (const std::bad_alloc&) {
    kind = static_cast<std::int64_t>(Kind::out_of_memory);
    text = "out of memory";
  } catch (const std::exception& error) {
    kind = static_cast<std::int64_t>(Kind::io);
    text = error.what();
  }
  const std::vector<std::int64_t> kinds = communicator.gather_values(kind);
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const std::int64_t found = kinds[static_cast<std::size_t>(rank)];
    if (found != kFine) {
      fail_together(static_cast<Kind>(found), "rank {}: {}", rank,
                    gather_texts(communicator, text)[static_cast<std::size_t>(rank)]);
    }
  }
}

}  // namespace keyshard
