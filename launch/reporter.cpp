#include "launch/reporter.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

SettingValue value(double number) { return {number, ""}; }

SettingValue value(std::int64_t number) { return {number, ""}; }

std::string time_text(double seconds) {
  const auto s = static_cast<std::int64_t>(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

bool under_mpirun() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMI_SIZE") != nullptr;
}

}  // namespace

std::string metrics_text(Loss loss, const Metrics& metrics) {
  return loss == Loss::squared_error
             ? fmt::format("rmse {:.4f}, mae {:.4f}", metrics.rmse, metrics.mae)
             : fmt::format("auc {:.4f}, log loss {:.4f}", metrics.auc, metrics.loss);
}

Reporter::Reporter(int rank, ProgressStyle style, const std::string& metrics_file)
    : active_(rank == 0),
      terminal_(style == ProgressStyle::line || (style == ProgressStyle::automatic &&
                                                 isatty(STDOUT_FILENO) == 1 && !under_mpirun())),
      off_(style == ProgressStyle::off) {
  if (active_ && !metrics_file.empty()) {
    metrics_ = std::fopen(metrics_file.c_str(), "ab");
    require(metrics_ != nullptr, Kind::io, "{}: cannot be written", metrics_file);
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
    line(text);
  }
}

void Reporter::step(const StepReport& report) {
  if (!active_) {
    return;
  }
  first_step_ = first_step_ < 0 ? report.step : first_step_;
  const double total = std::max(report.clock.total(), 1e-9);
  const double elapsed =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double done = static_cast<double>(report.step - first_step_);
  const double left =
      done > 0 ? elapsed / done * static_cast<double>(report.total_steps - report.step) : 0;
  SettingValue::Table shares;
  std::string text;
  for (std::size_t p = 0; p < kStepParts.size(); ++p) {
    const double share = report.clock.seconds(static_cast<StepPart>(p)) / total;
    shares.emplace_back(kStepParts[p], value(share));
    text += share >= 0.005 ? fmt::format(" {} {:.0f}%", kStepParts[p], share * 100) : "";
  }
  const double rate = static_cast<double>(report.examples) / total;
  if (metrics_ != nullptr) {
    const SettingValue json{SettingValue::Table{{"kind", {std::string("step"), ""}},
                                                {"step", value(report.step)},
                                                {"epoch", value(report.epoch)},
                                                {"loss", value(report.loss)},
                                                {"examples_per_s", value(rate)},
                                                {"bad_lines", value(report.bad_lines)},
                                                {"shares", {shares, ""}}},
                            ""};
    fmt::print(metrics_, "{}\n", json_text(json));
    std::fflush(metrics_);
  }
  if (off_) {
    return;
  }
  const std::string shown = fmt::format(
      "step {}/{} epoch {} loss {:.4f} {:.0f} examples/s{}{} left {}", report.step,
      report.total_steps, report.epoch + 1, report.loss, rate, text,
      report.bad_lines > 0 ? fmt::format(" bad lines {}", report.bad_lines) : "", time_text(left));
  if (terminal_) {
    fmt::print("\r{}\033[K", shown);
    std::fflush(stdout);
    open_line_ = true;
  } else {
    line(shown);
  }
}

void Reporter::evaluation(const char* split, std::int64_t step, std::int64_t epoch, Loss loss,
                          const Metrics& metrics, bool best) {
  if (!active_) {
    return;
  }
  if (metrics_ != nullptr) {
    const SettingValue json{SettingValue::Table{{"kind", {std::string(split), ""}},
                                                {"step", value(step)},
                                                {"epoch", value(epoch)},
                                                {"samples", value(metrics.samples)},
                                                {"loss", value(metrics.loss)},
                                                {"auc", value(metrics.auc)},
                                                {"rmse", value(metrics.rmse)},
                                                {"mean_score", value(metrics.mean_score)},
                                                {"mean_label", value(metrics.mean_label)},
                                                {"best", {best, ""}}},
                            ""};
    fmt::print(metrics_, "{}\n", json_text(json));
    std::fflush(metrics_);
  }
  if (!off_) {
    line(fmt::format("step {} epoch {} {}: {}{}", step, epoch + 1, split,
                     metrics_text(loss, metrics), best ? " (best)" : ""));
  }
}

}  // namespace keyshard
