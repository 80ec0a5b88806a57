// The metrics against all pairs, with one result on any number of ranks. The golden runner compares
// them with the golden vectors.
#include "launch/training/models/metrics.hpp"

#include <bit>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "tests/launch/training/models/metrics_run.hpp"
#include "tests/support/counts.hpp"

namespace keyshard {
namespace {

using testing::metrics_on_ranks;
using testing::Samples;

/// The metrics on `ranks` ranks; expects the same AUC on every rank.
Metrics metrics_of(const Samples& samples, Loss loss, std::int64_t slices, int ranks) {
  const std::vector<Metrics> results = metrics_on_ranks(samples, loss, slices, ranks);
  for (const Metrics& mine : results) {
    EXPECT_EQ(std::bit_cast<std::uint64_t>(mine.auc),
              std::bit_cast<std::uint64_t>(results.front().auc));
  }
  return results.front();
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
    for (const int ranks : testing::rank_counts({2, 3, 5, 8})) {
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
