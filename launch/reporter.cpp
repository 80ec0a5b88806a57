#include "launch/reporter.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "launch/metrics_text.hpp"
#include "launch/report/run_history.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

std::string time_text(double seconds) {
  const auto s = static_cast<std::int64_t>(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

bool under_mpirun() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMI_SIZE") != nullptr;
}

}  // namespace

double seconds_between_lines(double given, bool terminal, double passed) {
  return given > 0 ? given : terminal ? 1 : std::clamp(passed / 60, 1.0, 60.0);
}

Reporter::Reporter(int rank, ProgressStyle style, const std::string& folder, double every_seconds)
    : active_(rank == 0),
      terminal_(style == ProgressStyle::line || (style == ProgressStyle::automatic &&
                                                 isatty(STDOUT_FILENO) == 1 && !under_mpirun())),
      off_(style == ProgressStyle::off),
      every_seconds_(every_seconds) {
  if (active_ && !folder.empty()) {
    folder_ = folder;
    log_ = Log(folder + "/log.txt", rank);
    const std::string file = folder + "/metrics.jsonl";
    metrics_ = std::fopen(file.c_str(), "ab");
    require(metrics_ != nullptr, Kind::io, "{}: cannot be written", file);
  }
}

Reporter::~Reporter() {
  if (active_ && open_line_) {
    std::fputc('\n', stdout);
  }
  if (metrics_ != nullptr) {
    std::fclose(metrics_);
  }
}

void Reporter::line(const std::string& text) {
  if (open_line_) {
    std::fputc('\n', stdout);
    open_line_ = false;
  }
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void Reporter::note(const std::string& text) {
  if (active_) {
    const std::string shown = printable(text);
    log_.write(LogLevel::info, shown);
    line(shown);
  }
}

void Reporter::count_lost(bool written, std::int64_t& lost) {
  if (!written) {
    ++lost;
    reason_ = reason_.empty() ? std::strerror(errno) : reason_;
  }
}

void Reporter::write_metrics(SettingValue::Table entries) {
  if (metrics_ == nullptr) {
    return;
  }
  const SettingValue report = value_of(std::move(entries));
  const std::string line = json_text(report) + "\n";
  errno = 0;
  const bool whole = std::fwrite(line.data(), 1, line.size(), metrics_) == line.size();
  count_lost(std::fflush(metrics_) == 0 && whole, lost_metrics_);
  std::clearerr(metrics_);
  if (events_) {
    const ValueReader reader(report, "a report");
    count_lost(events_->add(reader.at("step").integer(), reader.at("kind").text() + "/",
                            numbers_of(report)),
               lost_events_);
  }
}

void Reporter::write_events(std::int64_t steps) {
  if (active_ && !folder_.empty()) {
    events_ = std::make_unique<EventFile>(folder_, steps + 1);
  }
}

void Reporter::start_over() {
  if (!active_ || folder_.empty()) {
    return;
  }
  for (const char* name : {"/metrics.jsonl", "/log.txt"}) {
    std::error_code error;
    // Both are open for appending, so what comes next stands at their start.
    std::filesystem::resize_file(folder_ + name, 0, error);
    require(!error, Kind::io, "{}{}: cannot empty: {}", folder_, name, error.message());
  }
  remove_event_files(folder_);
}

std::string Reporter::lost() const {
  std::string text;
  const auto add = [&](const std::string& name, std::int64_t count, const char* what) {
    if (count > 0) {
      text += fmt::format("{}{}/{}: {} {} could not be written", text.empty() ? "" : "; ", folder_,
                          name, count, what);
    }
  };
  add("metrics.jsonl", lost_metrics_, "lines");
  add("log.txt", log_.lost(), "lines");
  add(events_ ? events_->name() : "", lost_events_, "events");
  return text.empty() || reason_.empty() ? text : text + ": " + reason_;
}

std::string Reporter::time_left(const StepReport& report) {
  const auto now = std::chrono::steady_clock::now();
  if (first_step_ < 0) {
    first_step_ = report.step;
    start_ = now;
  }
  if (report.step == first_step_) {
    return "";  // no step was timed yet
  }
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const auto of_steps = [](std::int64_t steps) { return static_cast<double>(steps); };
  return " left " + time_text(elapsed / of_steps(report.step - first_step_) *
                              of_steps(report.total_steps - report.step));
}

void Reporter::show_step(const StepReport& report, double examples_per_s) {
  const std::string left = time_left(report);
  const auto now = std::chrono::steady_clock::now();
  const double passed = std::chrono::duration<double>(now - start_).count();
  const double since = std::chrono::duration<double>(now - shown_).count();
  if (since < seconds_between_lines(every_seconds_, terminal_, passed) &&
      report.step != report.total_steps) {
    return;
  }
  shown_ = now;
  std::string shares;
  for (std::size_t p = 0; p < kStepParts.size(); ++p) {
    const double share = report.clock.share(static_cast<StepPart>(p));
    shares += share >= 0.005 ? fmt::format(" {} {:.0f}%", kStepParts[p], share * 100) : "";
  }
  const std::string shown =
      fmt::format("step {}/{} epoch {} loss {:.4f} {:.0f} examples/s{}{}{}", report.step,
                  report.total_steps, report.epoch + 1, report.loss, examples_per_s, shares,
                  report.bad_lines > 0 ? fmt::format(" bad lines {}", report.bad_lines) : "", left);
  log_.write(LogLevel::info, shown);
  if (off_) {
    return;
  }
  if (terminal_) {
    fmt::print("\r{}\033[K", shown);
    std::fflush(stdout);
    open_line_ = true;
  } else {
    line(shown);
  }
}

void Reporter::step(const StepReport& report) {
  if (!active_) {
    return;
  }
  const double rate = static_cast<double>(report.examples) / std::max(report.clock.total(), 1e-9);
  SettingValue::Table shares;
  for (std::size_t p = 0; p < kStepParts.size(); ++p) {
    shares.emplace_back(kStepParts[p], value_of(report.clock.share(static_cast<StepPart>(p))));
  }
  SettingValue::Table rows;
  for (const auto& [table, count] : report.rows) {
    rows.emplace_back(table, value_of(count));
  }
  write_metrics({{"kind", value_of("step")},
                 {"step", value_of(report.step)},
                 {"epoch", value_of(report.epoch + 1)},
                 {"loss", value_of(report.loss)},
                 {"examples_per_s", value_of(rate)},
                 {"bad_lines", value_of(report.bad_lines)},
                 {"shares", value_of(std::move(shares))},
                 {"rows", value_of(std::move(rows))}});
  show_step(report, rate);
}

void Reporter::evaluation(const char* split, std::int64_t step, std::int64_t epoch, Loss loss,
                          const SplitMetrics& metrics, bool best) {
  if (!active_) {
    return;
  }
  SettingValue::Table report{
      {"kind", value_of(split)}, {"step", value_of(step)}, {"epoch", value_of(epoch + 1)}};
  add_metrics(metrics.all, report);
  report.emplace_back("best", value_of(best));
  if (metrics.unseen) {
    SettingValue::Table unseen;
    add_metrics(*metrics.unseen, unseen);
    report.emplace_back("unseen", value_of(std::move(unseen)));
  }
  if (metrics.by_value) {
    report.emplace_back("by_value", value_metrics_tree(*metrics.by_value));
  }
  write_metrics(std::move(report));
  const std::string shown = fmt::format("step {} epoch {} {}: {}{}", step, epoch + 1, split,
                                        metrics_text(loss, metrics), best ? " (best)" : "");
  std::vector<std::string> lines = value_lines(loss, metrics);
  lines.insert(lines.begin(), shown);
  for (const std::string& text : lines) {
    log_.write(LogLevel::info, text);
    if (!off_) {
      line(text);
    }
  }
}

}  // namespace keyshard
