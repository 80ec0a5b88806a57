#include "tests/golden/runner.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "runtime/error.hpp"
#include "tests/golden/sections.hpp"

namespace keyshard::testing {
namespace {

/// How a section of a file is run; null for a section that only informs or holds inputs of others.
struct Section {
  const char* file;
  const char* name;
  void (*run)(const GoldenValue& file, Report& report);
};

constexpr Section kSections[] = {
    {"bp_v2", "cross_talk", run_cross_talk},
    {"bp_v2", "duplicates", nullptr},
    {"bp_v2", "layer_step", run_layer_step},
    {"bp_v2", "write_back", run_write_back},
    {"combiners", "bags", nullptr},
    {"combiners", "cases", run_combiners},
    {"combiners", "weighted", run_weighted},
    {"dense", "models", run_models},
    {"dense", "training", run_training},
    {"initializers", "missing_key", run_missing_keys},
    {"initializers", "random", run_random_initializers},
    {"initializers", "tfra_draws", nullptr},
    {"max_norm", "at_limit_tolerance", nullptr},
    {"max_norm", "boundary", nullptr},
    {"max_norm", "reads", run_max_norm_reads},
    {"max_norm", "training", run_max_norm_training},
    {"metrics", "classification", run_classification},
    {"metrics", "regression", run_regression},
    {"optimizers", "cases", run_optimizers},
    {"optimizers", "schedule", nullptr},
    {"optimizers", "table", nullptr},
    {"partition", "cases", run_partition},
    {"partition", "farmhash64", run_fingerprints},
    {"partition", "keys", nullptr},
    {"restrict", "scenarios", run_restrict},
    {"squashed_layer", "configs", run_configs},
    {"squashed_layer", "embedding", run_embedding},
    {"squashed_layer", "empty", run_empty},
    {"squashed_layer", "field_wise", run_field_wise},
    {"squashed_layer", "output_shapes", run_output_shapes},
    {"squashed_layer", "ragged", run_ragged},
    {"squashed_layer", "ragged_two_axes", run_ragged_two_axes},
    {"squashed_layer", "refused", run_refused},
    {"squashed_layer", "small", run_small},
    {"squashed_layer", "squashed", run_squashed},
    {"squashed_layer", "table", nullptr},
};

bool is_header(const std::string& member) {
  return member == "file" || member == "format" || member == "seed" || member == "versions";
}

void run_section(const GoldenValue& file, const std::string& name, Report& report) {
  const std::string part = file["file"].text() + ": " + name;
  const auto* known = std::find_if(std::begin(kSections), std::end(kSections), [&](const auto& s) {
    return file["file"].text() == s.file && name == s.name;
  });
  if (known == std::end(kSections)) {
    report.not_built(part);
    return;
  }
  if (known->run == nullptr) {
    return;
  }
  try {
    known->run(file, report);
  } catch (const std::exception& error) {  // outside of any case: the section cannot be read
    report.run(part, "section", [&](GoldenCase& one) { one.expect(false, error.what()); });
  }
}

void run_file(const std::string& path, Report& report) {
  try {
    const GoldenValue file = read_golden(path);
    require(file["format"].integer() == 1, Kind::bad_input,
            "expected a golden file of format 1: found {}", file["format"].integer());
    for (const auto& [name, section] : file.object()) {
      if (!is_header(name)) {
        run_section(file, name, report);
      }
    }
  } catch (const std::exception& error) {
    report.run(path, "file", [&](GoldenCase& one) { one.expect(false, error.what()); });
  }
}

}  // namespace

bool run_golden(const std::string& folder, std::ostream& out) {
  Report report(out);
  return run_golden(folder, report);
}

bool run_golden(const std::string& folder, Report& report) {
  std::vector<std::string> paths;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
    if (entry.path().extension() == ".json") {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  if (paths.empty()) {
    report.run(folder, "folder", [](GoldenCase& one) {
      one.expect(false, "expected golden files, *.json: found none");
    });
  }
  for (const std::string& path : paths) {
    run_file(path, report);
  }
  report.finish();
  return report.failed() == 0;
}

}  // namespace keyshard::testing
