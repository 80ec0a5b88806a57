// Work that succeeds on all ranks or fails on all of them with the same message, and the errors by
// which a caller knows that all ranks have failed.
#pragma once

#include <functional>

#include "collectives/communicator.hpp"
#include "runtime/error.hpp"

namespace keyshard {

/// An error that all ranks throw, between the same two collective calls: who catches it may make
/// collective calls. An Error of another type may be that of one rank.
class SharedError : public Error {
 public:
  using Error::Error;
};

/// Throws SharedError{kind} with the formatted message. All ranks call this.
template <class... Args>
[[noreturn]] void fail_together(Kind kind, Format format, const Args&... args) {
  throw SharedError(kind, fmt::vformat(format.text, fmt::make_format_args(args...)), format.file,
                    format.line);
}

/// Runs `body`, which makes no collective calls, on every rank. Where it throws on any rank, every
/// rank throws the error of the lowest of these ranks, as SharedError, with the number of that rank
/// in front of the message. std::bad_alloc counts as Error{out_of_memory}, another std::exception
/// that is no Error as Error{io}. Collective.
void vote(Communicator<Cpu>& communicator, const std::function<void()>& body);

}  // namespace keyshard
