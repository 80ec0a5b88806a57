// What a user sees of a training, on rank 0 only: a progress line on a terminal, plain lines
// elsewhere. Every report is a line of JSON in OUTPUT/metrics.jsonl, and where asked for an event
// for TensorBoard; the lines for the user, also those that `off` hides, are in OUTPUT/log.txt with
// the time.
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "launch/event_file.hpp"
#include "launch/training/models/value_metrics.hpp"
#include "launch/training/step_clock.hpp"
#include "runtime/log.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

/// automatic: a progress line on a terminal, but plain lines under mpirun, where every rank takes
/// stdout for a terminal. off: no lines of steps and evaluations; `note` still shows its lines.
enum class ProgressStyle { automatic, line, off };

struct StepReport {
  std::int64_t step = 0;
  std::int64_t total_steps = 0;
  std::int64_t epoch = 0;
  double loss = 0;
  std::int64_t examples = 0;   ///< since the last report, of the whole job
  std::int64_t bad_lines = 0;  ///< of the whole job, so far
  StepClock clock;             ///< since the last report
  /// Rows of tables over all ranks, by the names of the tables.
  std::vector<std::pair<std::string, std::int64_t>> rows = {};
};

/// The seconds from one line of a step to the next: as given, or where 0 is given, 1 on a terminal;
/// elsewhere 1 in the first minute, and then a sixtieth of what has passed, up to a minute.
double seconds_between_lines(double given, bool terminal, double passed);

class Reporter {
 public:
  /// Appends to metrics.jsonl and log.txt in `folder`, unless that is empty. `every_seconds` is
  /// what seconds_between_lines is given. A reporter of a rank other than 0 does nothing. Throws
  /// Error{io}.
  Reporter(int rank, ProgressStyle style, const std::string& folder, double every_seconds = 0);
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  /// Writes the metrics, and shows them unless a step was shown a short while ago
  /// (seconds_between_lines). The last step is always shown.
  void step(const StepReport& report);
  void evaluation(const char* split, std::int64_t step, std::int64_t epoch, Loss loss,
                  const SplitMetrics& metrics, bool best);
  /// A line for the user.
  void note(const std::string& text);

  /// Empties the files: what an earlier job has reported is gone, its events too.
  void start_over();

  /// From now on also writes the numbers of all reports as events for TensorBoard, into a new file
  /// in the folder. `steps`: those that the job has behind it. Throws Error{io}.
  void write_events(std::int64_t steps);

  /// What could not be written, and why; empty: nothing is lost.
  std::string lost() const;

 private:
  void line(const std::string& text);
  void write_metrics(SettingValue::Table entries);
  void count_lost(bool written, std::int64_t& lost);
  void show_step(const StepReport& report, double examples_per_s);
  std::string time_left(const StepReport& report);

  bool active_;
  bool terminal_;
  bool off_;
  bool open_line_ = false;
  double every_seconds_;
  std::string folder_;
  std::FILE* metrics_ = nullptr;
  std::unique_ptr<EventFile> events_;  // null: not asked for
  std::int64_t lost_metrics_ = 0;      // lines
  std::int64_t lost_events_ = 0;
  std::string reason_;  // of the first loss
  Log log_;
  std::chrono::steady_clock::time_point start_;  // of the first report
  std::chrono::steady_clock::time_point shown_;  // last time that a step was shown
  std::int64_t first_step_ = -1;
};

}  // namespace keyshard
