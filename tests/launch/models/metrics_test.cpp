// The metrics against the golden vectors and against all pairs, with one result on any number of
// ranks.
#include "launch/models/metrics.hpp"

#include <bit>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/golden_file.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::GoldenValue;
using testing::run_ranks;

/// Predictions of a data set, in the order of its records.
struct Samples {
  std::vector<float> logits;
  std::vector<float> scores;
  std::vector<float> labels;
  std::vector<float> weights;  // empty: all 1

  Predictions part(std::size_t begin, std::size_t end) const {
    const auto cut = [&](const std::vector<float>& v) {
      return v.empty() ? Span<const float>{} : Span<const float>(v).subspan(begin, end - begin);
    };
    return {cut(logits), cut(scores), cut(labels), cut(weights)};
  }
};

/// The metrics on `ranks` ranks, each slice in two batches; expects the same on every rank.
Metrics metrics_of(const Samples& samples, Loss loss, std::int64_t slices, int ranks) {
  Metrics result;
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const Range run = run_of(communicator.rank(), ranks, slices);
    MetricsAccumulator accumulator(loss, slices, run);
    const std::int64_t n = static_cast<std::int64_t>(samples.labels.size());
    for (std::int64_t slice = run.begin; slice < run.end; ++slice) {
      const Range part = run_of(slice, slices, n);
      const std::size_t begin = static_cast<std::size_t>(part.begin);
      const std::size_t middle = begin + static_cast<std::size_t>(part.size() / 2);
      accumulator.add(slice, samples.part(begin, middle));
      accumulator.add(slice, samples.part(middle, static_cast<std::size_t>(part.end)));
    }
    const Metrics mine = accumulator.result(communicator, stream);
    const std::lock_guard lock(mutex);
    if (result.samples > 0) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(mine.auc), std::bit_cast<std::uint64_t>(result.auc));
    }
    result = mine;
  });
  return result;
}

void expect_near(double found, double expected, const std::string& what) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(found)) << what << ": found " << found;
  } else {
    EXPECT_NEAR(found, expected, 1e-12) << what;
  }
}

std::string golden_path() { return std::string(KEYSHARD_SHARED_DIR) + "/golden/metrics.json"; }

TEST(Metrics, OfClassificationAreGolden) {
  if (!std::filesystem::exists(golden_path())) {
    GTEST_SKIP() << "no golden file " << golden_path();
  }
  const GoldenValue file = testing::read_golden(golden_path());
  EXPECT_EQ(file["classification"].list().size(), 13u);
  for (const GoldenValue& value : file["classification"].list()) {
    const std::string name = value["name"].text();
    Samples samples{value["logits"].tensor().floats(),
                    value["scores"].tensor().floats(),
                    value["labels"].tensor().floats(),
                    {}};
    if (!value["weights"].is_null()) {
      samples.weights = value["weights"].tensor().floats();
    }
    for (const int ranks : {1, 3}) {
      const Metrics metrics = metrics_of(samples, Loss::log_loss, 4, ranks);
      expect_near(metrics.auc, value["auc_of_logits"].number(), name + " auc");
      expect_near(metrics.loss, value["log_loss_from_logits"].number(), name + " log loss");
      expect_near(metrics.rmse, value["rmse_of_scores"].number(), name + " rmse");
      expect_near(metrics.mean_score, value["mean_score"].number(), name + " mean score");
      expect_near(metrics.mean_label, value["mean_label"].number(), name + " mean label");
      EXPECT_EQ(metrics.samples, static_cast<std::int64_t>(samples.labels.size()));
    }
  }
}

TEST(Metrics, OfRegressionAreGolden) {
  if (!std::filesystem::exists(golden_path())) {
    GTEST_SKIP() << "no golden file " << golden_path();
  }
  const GoldenValue file = testing::read_golden(golden_path());
  for (const GoldenValue& value : file["regression"].list()) {
    const std::vector<float> predictions = value["predictions"].tensor().floats();
    const Samples samples{predictions, predictions, value["targets"].tensor().floats(), {}};
    const Metrics metrics = metrics_of(samples, Loss::squared_error, 4, 2);
    expect_near(metrics.rmse, value["rmse"].number(), "rmse");
    expect_near(metrics.mae, value["mae"].number(), "mae");
    EXPECT_NEAR(metrics.loss, metrics.rmse * metrics.rmse, 1e-12);
    EXPECT_TRUE(std::isnan(metrics.auc));
  }
}

Samples random_samples(std::size_t n, bool weighted) {
  std::mt19937_64 random(n);
  Samples samples;
  for (std::size_t i = 0; i < n; ++i) {
    // Few distinct logits, so that there are ties, zeros of both signs among them.
    const float logit = static_cast<float>(random() % 41) / 8.0f - 2.5f;
    samples.logits.push_back(logit == 0 && i % 2 == 0 ? -0.0f : logit);
    samples.labels.push_back(random() % 3 == 0 ? 1.0f : 0.0f);
    if (weighted) {
      samples.weights.push_back(static_cast<float>(random() % 1000) / 333.0f);
    }
  }
  samples.scores.resize(n);
  scores_of(Loss::log_loss, samples.logits, samples.scores.data());
  return samples;
}

double auc_of_all_pairs(const Samples& s) {
  double won = 0;
  double pairs = 0;
  const auto weight = [&](std::size_t i) {
    return s.weights.empty() ? 1.0 : static_cast<double>(s.weights[i]);
  };
  for (std::size_t i = 0; i < s.labels.size(); ++i) {
    for (std::size_t j = 0; j < s.labels.size(); ++j) {
      if (s.labels[i] > 0.5f && s.labels[j] < 0.5f) {
        const double pair = weight(i) * weight(j);
        pairs += pair;
        won += s.logits[i] > s.logits[j] ? pair : s.logits[i] == s.logits[j] ? pair / 2 : 0;
      }
    }
  }
  return won / pairs;
}

TEST(Metrics, AucIsTheShareOfAllPairs) {
  for (const bool weighted : {false, true}) {
    const Samples samples = random_samples(500, weighted);
    EXPECT_NEAR(metrics_of(samples, Loss::log_loss, 8, 2).auc, auc_of_all_pairs(samples), 1e-12);
  }
}

TEST(Metrics, BitsDoNotDependOnTheNumberOfRanks) {
  for (const bool weighted : {false, true}) {
    const Samples samples = random_samples(3001, weighted);
    const Metrics one = metrics_of(samples, Loss::log_loss, 4, 1);
    for (const int ranks : {2, 3, 5, 8}) {
      const Metrics many = metrics_of(samples, Loss::log_loss, 4, ranks);
      EXPECT_EQ(many.auc, one.auc) << ranks;
      EXPECT_EQ(many.loss, one.loss) << ranks;
      EXPECT_EQ(many.rmse, one.rmse) << ranks;
      EXPECT_EQ(many.mae, one.mae) << ranks;
      EXPECT_EQ(many.mean_score, one.mean_score) << ranks;
      EXPECT_EQ(many.mean_label, one.mean_label) << ranks;
      EXPECT_EQ(many.samples, 3001) << ranks;
    }
  }
}

TEST(Metrics, OfNothingAreNotNumbers) {
  const Metrics metrics = metrics_of({}, Loss::log_loss, 4, 2);
  EXPECT_EQ(metrics.samples, 0);
  EXPECT_TRUE(std::isnan(metrics.auc));
  EXPECT_TRUE(std::isnan(metrics.loss));
}

}  // namespace
}  // namespace keyshard
