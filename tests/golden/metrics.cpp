// metrics.json: exact metrics of a data set, on one rank and on three.
#include <fmt/format.h>

#include "tests/golden/sections.hpp"
#include "tests/launch/training/models/metrics_run.hpp"

namespace keyshard::testing {
namespace {

constexpr double kTolerance = 1e-12;  // double arithmetic, some hundred terms
constexpr std::int64_t kSlices = 4;

/// check(metrics, prefix of messages) for what every rank gets, on one rank and on three.
template <class Check>
void on_ranks(const Samples& samples, Loss loss, const Check& check) {
  for (const int ranks : {1, 3}) {
    for (const Metrics& metrics : metrics_on_ranks(samples, loss, kSlices, ranks)) {
      check(metrics, fmt::format("{} ranks: ", ranks));
    }
  }
}

void run_classified(const GoldenValue& value, GoldenCase& one) {
  Samples samples{value["logits"].tensor().floats(),
                  value["scores"].tensor().floats(),
                  value["labels"].tensor().floats(),
                  {}};
  if (!value["weights"].is_null()) {
    samples.weights = value["weights"].tensor().floats();
  }
  on_ranks(samples, Loss::log_loss, [&](const Metrics& metrics, const std::string& at) {
    const auto expect = [&](const char* name, double found) {
      one.near(at + name, found, value[name].number(), kTolerance);
    };
    expect("auc_of_logits", metrics.auc);
    expect("log_loss_from_logits", metrics.loss);
    expect("rmse_of_scores", metrics.rmse);
    expect("mean_score", metrics.mean_score);
    expect("mean_label", metrics.mean_label);
  });
  samples.logits = samples.scores;  // scores may tie where logits do not
  on_ranks(samples, Loss::log_loss, [&](const Metrics& metrics, const std::string& at) {
    one.near(at + "auc", metrics.auc, value["auc"].number(), kTolerance);
  });
}

void run_rated(const GoldenValue& value, GoldenCase& one) {
  const std::vector<float> predictions = value["predictions"].tensor().floats();
  const Samples samples{predictions, predictions, value["targets"].tensor().floats(), {}};
  on_ranks(samples, Loss::squared_error, [&](const Metrics& metrics, const std::string& at) {
    const double rmse = value["rmse"].number();
    one.near(at + "rmse", metrics.rmse, rmse, kTolerance);
    one.near(at + "mae", metrics.mae, value["mae"].number(), kTolerance);
    one.near(at + "loss", metrics.loss, rmse * rmse, kTolerance);
  });
}

}  // namespace

void run_classification(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["classification"].list()) {
    report.run("metrics: classification", value["name"].text(),
               [&](GoldenCase& one) { run_classified(value, one); });
  }
}

void run_regression(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["regression"].list()) {
    report.run("metrics: regression", value["name"].text(),
               [&](GoldenCase& one) { run_rated(value, one); });
  }
}

}  // namespace keyshard::testing
