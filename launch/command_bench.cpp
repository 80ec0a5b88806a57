#include "launch/commands.hpp"
#include "runtime/error.hpp"

namespace keyshard {

int run_bench(const BenchCommand&) {
  fail(Kind::not_built, "keyshard bench is not built in this version");
}

}  // namespace keyshard
