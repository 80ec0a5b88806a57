#include "launch/commands.hpp"
#include "runtime/error.hpp"

namespace keyshard {

int run_predict(const PredictCommand&) {
  fail(Kind::not_built, "keyshard predict is not built in this version");
}

}  // namespace keyshard
