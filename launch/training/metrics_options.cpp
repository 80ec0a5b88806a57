#include "launch/training/metrics_options.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "launch/training/job_keys.hpp"

namespace keyshard {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A sample must have one id, for it belongs to one group.
std::string read_feature(Settings& settings, const char* key, const FeatureNames& features) {
  std::string name = settings.text(key, "");
  if (name.empty()) {
    return name;
  }
  if (!contains(features.all, name)) {
    settings.problem(key, fmt::format("expected the name of a column of ids: found \"{}\"{}", name,
                                      did_you_mean(name, features.all)));
  } else if (contains(features.lists, name)) {
    settings.problem(
        key,
        fmt::format("expected a column of one id (role = \"id\"): found \"{}\", a list", name));
  }
  return name;
}

}  // namespace

MetricsOptions read_metrics_options(Settings settings, const FeatureNames& features) {
  settings.describe(metrics_keys());
  MetricsOptions options;
  options.gauc = read_feature(settings, "gauc", features);
  options.by = read_feature(settings, "by", features);
  if (!options.by.empty() || settings.has("most")) {
    options.most = settings.integer("most", options.most, 1, 100'000);
  }
  settings.finish();
  return options;
}

}  // namespace keyshard
