// The golden runner: every file of a folder, section by section.
#pragma once

#include <ostream>
#include <string>

#include "tests/golden/report.hpp"

namespace keyshard::testing {

/// Runs every golden file (*.json) of a folder through the library. Writes a line per failing case
/// ("FAILED file: section case: why"), a line per part that is not built ("NOT BUILT file:
/// section"), and last "N passed, M failed". Returns whether nothing failed; a folder without
/// golden files, or a file that cannot be read, is a failure.
bool run_golden(const std::string& folder, std::ostream& out);

/// The same, with a report that the caller can examine afterwards.
bool run_golden(const std::string& folder, Report& report);

}  // namespace keyshard::testing
