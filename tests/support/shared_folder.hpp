// Where the files lie that only some tests need, and that are no part of the project.
#pragma once

#include <string>

namespace keyshard::testing {

/// The folder `shared` beside the project, without a slash at its end. It may be absent: a test
/// that needs it is skipped then. One source knows the path, so that no other is compiled anew
/// where the project lies somewhere else.
const std::string& shared_folder();

}  // namespace keyshard::testing
