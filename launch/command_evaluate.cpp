#include "launch/commands.hpp"
#include "runtime/error.hpp"

namespace keyshard {

int run_evaluate(const PredictCommand&) {
  fail(Kind::not_built, "keyshard evaluate is not built in this version");
}

}  // namespace keyshard
