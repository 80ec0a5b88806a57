// The page of a job, from the files in its folder.
#pragma once

#include <string>

#include "launch/report/report_page.hpp"

namespace keyshard {

/// Reads metrics.jsonl and the manifests of the checkpoints. What cannot be read beside the reports
/// is a note of the record. Throws as read_history.
RunRecord read_run(const std::string& folder);

/// Where the page of a job lies by default: "report.html" in its folder.
std::string report_path(const std::string& folder);

/// Writes the page of a job, for the program and at the end of a training. Throws as read_run, and
/// Error{invalid_argument} or Error{io} where the file cannot be written.
void write_report(const std::string& folder, const std::string& path);

}  // namespace keyshard
