#include "tests/support/shared_folder.hpp"

namespace keyshard::testing {

const std::string& shared_folder() {
  static const std::string folder = KEYSHARD_SHARED_DIR;
  return folder;
}

}  // namespace keyshard::testing
