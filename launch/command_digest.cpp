#include "launch/commands.hpp"
#include "runtime/error.hpp"

namespace keyshard {

int run_digest(const CheckpointCommand&) {
  fail(Kind::not_built, "keyshard digest is not built in this version");
}

}  // namespace keyshard
