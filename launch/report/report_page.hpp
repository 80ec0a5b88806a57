// A run as one HTML page that needs nothing else: no network, no script, no other file. Everything
// that comes from files is escaped.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "launch/report/run_history.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

/// A checkpoint as its manifest describes it.
struct CheckpointNote {
  std::int64_t step = 0;
  std::int64_t ranks = 0;
  std::int64_t bytes = 0;
  std::string digest;                                      ///< of the state
  std::vector<std::pair<std::string, std::int64_t>> rows;  ///< of each table
  std::string problem;  ///< why its manifest cannot be read; then the rest is empty
};

/// What a page shows.
struct RunRecord {
  std::string name;  ///< of the folder
  RunHistory history;
  std::vector<CheckpointNote> checkpoints;  ///< by step
  std::int64_t told_by = -1;                ///< the newest checkpoint that can be read; -1: none
  std::optional<std::int64_t> best_step;    ///< as it knows it
  ResolvedSettings config;                  ///< of it
  std::set<std::string> given;              ///< keys of it that the user has given
  std::vector<std::string> notes;           ///< what a reader must know, beside those of `history`
};

std::string html_of(const RunRecord& run);

}  // namespace keyshard
