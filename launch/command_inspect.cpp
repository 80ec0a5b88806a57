#include "launch/commands.hpp"
#include "runtime/error.hpp"

namespace keyshard {

int run_inspect(const CheckpointCommand&) {
  fail(Kind::not_built, "keyshard inspect is not built in this version");
}

}  // namespace keyshard
