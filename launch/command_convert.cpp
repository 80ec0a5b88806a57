#include "launch/commands.hpp"
#include "runtime/error.hpp"

namespace keyshard {

int run_convert(const ConvertCommand&) {
  fail(Kind::not_built, "keyshard convert is not built in this version");
}

}  // namespace keyshard
