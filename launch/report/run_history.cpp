#include "launch/report/run_history.hpp"

#include <algorithm>
#include <fstream>
#include <limits>

#include <fmt/format.h>

#include "runtime/error.hpp"
#include "runtime/json.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kMostNotes = 20;

void add_numbers(const SettingValue& value, const std::string& name,
                 std::vector<std::pair<std::string, double>>& numbers) {
  if (const auto* table = std::get_if<SettingValue::Table>(&value.value)) {
    for (const auto& [key, member] : *table) {
      add_numbers(member, name.empty() ? key : fmt::format("{}/{}", name, key), numbers);
    }
  } else if (const auto number = as_number(value)) {
    numbers.emplace_back(name, *number);
  } else if (std::holds_alternative<std::monostate>(value.value)) {
    numbers.emplace_back(name, kUndefined);
  }
}

/// Adds the lines of a file to a history, one after another.
class HistoryReader {
 public:
  explicit HistoryReader(RunHistory& history) : history_(history) {}

  void add(std::int64_t line, const std::string& text) {
    const std::string place = fmt::format("metrics.jsonl line {}", line);
    try {
      const SettingValue report = parse_json(text, place);
      const ValueReader reader(report, place);
      const std::string kind = reader.at("kind").text();
      const std::int64_t step = reader.at("step").integer(0, kMostSteps);
      go_to(place, kind, step);
      add_report(kind, step, report);
    } catch (const Error& error) {
      note(printable(error.text()) + "; the line is not shown");
    }
  }

  /// Says how many notes were left out.
  void finish() {
    const std::int64_t left_out = notes_ - kMostNotes;
    if (left_out > 0) {
      history_.notes.push_back(fmt::format("and {} more notes of this kind", left_out));
    }
  }

  std::int64_t reports() const noexcept { return reports_; }

 private:
  static constexpr std::int64_t kMostSteps = std::int64_t{1} << 53;

  void note(std::string text) {
    if (++notes_ <= kMostNotes) {
      history_.notes.push_back(std::move(text));
    }
  }

  /// A step that was reported before is taken again: what was reported from there on goes.
  void go_to(const std::string& place, const std::string& kind, std::int64_t step) {
    const auto last = last_.find(kind);
    if (step < newest_ || (last != last_.end() && step <= last->second)) {
      std::int64_t points = 0;
      for (auto& [name, curve] : history_.curves) {
        const auto from = std::lower_bound(
            curve.begin(), curve.end(), step,
            [](const CurvePoint& point, std::int64_t before) { return point.step < before; });
        points += curve.end() - from;
        curve.erase(from, curve.end());
      }
      std::erase_if(history_.best_steps, [&](std::int64_t best) { return best >= step; });
      note(fmt::format(
          "{} goes back from step {} to step {}: the job was resumed from an earlier checkpoint; "
          "{} "
          "numbers that were reported from step {} on are replaced by what it reported then",
          place, newest_, step, points, step));
      last_.clear();
    }
    newest_ = step;
    last_[kind] = step;
  }

  void add_report(const std::string& kind, std::int64_t step, const SettingValue& report) {
    for (const auto& [name, value] : numbers_of(report)) {
      history_.curves[fmt::format("{}/{}", kind, name)].push_back({step, value});
    }
    const SettingValue* best = member_of(report, "best");
    if (best != nullptr && as_flag(*best).value_or(false)) {
      history_.best_steps.push_back(step);
    }
    ++reports_;
  }

  RunHistory& history_;
  std::int64_t newest_ = -1;
  std::map<std::string, std::int64_t> last_;  // step, by kind
  std::int64_t reports_ = 0;
  std::int64_t notes_ = 0;
};

}  // namespace

double RunHistory::last(const std::string& name) const {
  const auto found = curves.find(name);
  return found == curves.end() || found->second.empty() ? kUndefined : found->second.back().value;
}

std::vector<std::pair<std::string, double>> numbers_of(const SettingValue& report) {
  std::vector<std::pair<std::string, double>> numbers;
  add_numbers(report, "", numbers);
  std::erase_if(numbers, [](const auto& number) { return number.first == "step"; });
  return numbers;
}

RunHistory read_history(const std::string& folder) {
  const std::string path = folder + "/metrics.jsonl";
  std::ifstream file(path, std::ios::binary);
  require(file.is_open(), Kind::invalid_argument,
          "{}: expected the reports of a training: found no file that can be read; name the folder "
          "that job.output or --output named",
          path);
  RunHistory history;
  HistoryReader reader(history);
  std::int64_t lines = 0;
  for (std::string line; std::getline(file, line);) {
    reader.add(++lines, line);
  }
  require(!file.bad(), Kind::io, "{}: cannot be read", path);
  reader.finish();
  require(reader.reports() > 0, Kind::corrupt_data,
          "{}: expected a report of a training: found none in {} lines{}", path, lines,
          history.notes.empty() ? "" : "; " + history.notes.front());
  return history;
}

}  // namespace keyshard
