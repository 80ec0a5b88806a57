#include "runtime/error.hpp"

namespace keyshard {

Error::Error(Kind kind, std::string_view text, const char* file, int line)
    : std::runtime_error(fmt::format("{}:{}: {}", file, line, text)), kind_(kind), text_(text) {}

}  // namespace keyshard
