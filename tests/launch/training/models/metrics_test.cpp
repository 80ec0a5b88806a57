// The metrics against all pairs, with one result on any number of ranks. The golden runner compares
// them with the golden vectors.
#include "launch/training/models/metrics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "launch/training/models/value_metrics.hpp"
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

TEST(Metrics, NormalizedEntropyIsTheLogLossOverThatOfTheMeanLabel) {
  // Labels of mean 1/4, all scored 1/2: log 2 / (1/4 log 4 + 3/4 log (4/3)).
  const Samples samples{{0, 0, 0, 0}, {0.5f, 0.5f, 0.5f, 0.5f}, {1, 0, 0, 0}, {}};
  const Metrics metrics = metrics_of(samples, Loss::log_loss, 2, 1);
  const double entropy = 0.25 * std::log(4.0) + 0.75 * std::log(4.0 / 3);
  EXPECT_NEAR(metrics.normalized_entropy, std::log(2.0) / entropy, 1e-12);
  EXPECT_EQ(metrics.calibration, 2);

  // A model that always predicts the mean label has 1.
  const float logit = std::log(0.25f / 0.75f);
  const Samples mean{{logit, logit, logit, logit}, {0.25f, 0.25f, 0.25f, 0.25f}, {1, 0, 0, 0}, {}};
  EXPECT_NEAR(metrics_of(mean, Loss::log_loss, 2, 1).normalized_entropy, 1, 1e-7);
  EXPECT_EQ(metrics_of(mean, Loss::log_loss, 2, 1).calibration, 1);
}

TEST(Metrics, ThatNeedBothClassesAreNotNumbersWithoutThem) {
  const Samples negative{{1, 2}, {0.5f, 0.75f}, {0, 0}, {}};
  const Metrics metrics = metrics_of(negative, Loss::log_loss, 2, 1);
  EXPECT_TRUE(std::isnan(metrics.normalized_entropy));
  EXPECT_TRUE(std::isnan(metrics.calibration));
  EXPECT_FALSE(metrics.gauc.has_samples());
  const Samples ratings{{2, 4}, {2, 4}, {1, 5}, {}};
  EXPECT_TRUE(std::isnan(metrics_of(ratings, Loss::squared_error, 2, 1).normalized_entropy));
  EXPECT_EQ(metrics_of(ratings, Loss::squared_error, 2, 1).calibration, 1);
}

/// Samples of many groups, some of them of one class or of one sample, some samples without a
/// group; and of few values.
Samples grouped_samples(std::size_t n, bool weighted) {
  Samples samples = random_samples(n, weighted);
  std::mt19937_64 random(n + 1);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t group = random() % (n / 4);
    samples.groups.push_back(random() % 20 == 0 ? GroupId{} : GroupId{~group, 1});
    const std::uint64_t value = random() % 7;
    samples.values.push_back(value == 0 ? GroupId{} : GroupId{value * value, 1});
  }
  return samples;
}

template <class Keep>
Samples chosen_of(const Samples& all, const Keep& keep) {
  Samples some;
  for (std::size_t i = 0; i < all.labels.size(); ++i) {
    if (keep(i)) {
      some.logits.push_back(all.logits[i]);
      some.labels.push_back(all.labels[i]);
      if (!all.weights.empty()) {
        some.weights.push_back(all.weights[i]);
      }
    }
  }
  return some;
}

/// GAUC by its definition: the AUC of each group by all of its pairs.
GroupAuc gauc_of_all_pairs(const Samples& samples) {
  std::vector<GroupId> groups = samples.groups;
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  GroupAuc expected;
  double sum = 0;
  for (const GroupId& group : groups) {
    const Samples mine =
        chosen_of(samples, [&](std::size_t i) { return samples.groups[i] == group; });
    const double auc = auc_of_all_pairs(mine);
    const std::int64_t n = std::ssize(mine.labels);
    if (group == GroupId{}) {
      expected.without_id += n;
    } else if (std::isnan(auc)) {
      expected.one_class_groups += 1;
      expected.one_class_samples += n;
    } else {
      expected.groups += 1;
      expected.samples += n;
      sum += static_cast<double>(n) * auc;
    }
  }
  expected.auc = sum / static_cast<double>(expected.samples);
  return expected;
}

TEST(Metrics, GaucIsTheMeanOfTheAucsOfGroupsWeightedByTheirSamples) {
  for (const bool weighted : {false, true}) {
    const Samples samples = grouped_samples(400, weighted);
    const GroupAuc expected = gauc_of_all_pairs(samples);
    ASSERT_GT(expected.groups, 20);
    ASSERT_GT(expected.one_class_groups, 20);
    ASSERT_GT(expected.without_id, 5);
    const GroupAuc one = metrics_of(samples, Loss::log_loss, 4, 1).gauc;
    EXPECT_NEAR(one.auc, expected.auc, 1e-12);
    for (const int ranks : testing::rank_counts({1, 2, 3, 5})) {
      const GroupAuc many = metrics_of(samples, Loss::log_loss, 4, ranks).gauc;
      EXPECT_EQ(many.auc, one.auc) << ranks;
      EXPECT_EQ(many.groups, expected.groups) << ranks;
      EXPECT_EQ(many.samples, expected.samples) << ranks;
      EXPECT_EQ(many.one_class_groups, expected.one_class_groups) << ranks;
      EXPECT_EQ(many.one_class_samples, expected.one_class_samples) << ranks;
      EXPECT_EQ(many.without_id, expected.without_id) << ranks;
    }
  }
}

MetricsByValue by_value_of(const Samples& samples, std::int64_t slices, int ranks,
                           std::int64_t most) {
  MetricsByValue result;
  testing::run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const Range run = run_of(communicator.rank(), ranks, slices);
    ValueAccumulator accumulator(Loss::log_loss, run);
    samples.add_to(accumulator, slices, run, [](std::size_t) { return true; });
    accumulator.name({4, 1}, communicator.rank() == 0 ? "two" : "zwei");
    accumulator.name({9, 1}, "three");
    accumulator.name({9, 1}, "drei");
    const MetricsByValue mine = accumulator.result(communicator, stream, most, true);
    if (communicator.rank() == 0) {
      result = mine;
    }
  });
  return result;
}

/// The metrics that the samples of a value have alone, in their slices.
Metrics metrics_alone(const Samples& samples, std::int64_t slices, const GroupId& value) {
  Metrics result;
  testing::run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    MetricsAccumulator accumulator(Loss::log_loss, slices, {0, slices});
    samples.add_to(accumulator, slices, {0, slices},
                   [&](std::size_t i) { return samples.values[i] == value; });
    result = accumulator.result(communicator, stream, true);
  });
  return result;
}

TEST(Metrics, OfAValueAreThoseOfItsSamplesAloneOnAnyNumberOfRanks) {
  for (const bool weighted : {false, true}) {
    const Samples samples = grouped_samples(1000, weighted);
    for (const int ranks : testing::rank_counts({1, 2, 3, 8})) {
      const MetricsByValue found = by_value_of(samples, 4, ranks, 20);
      ASSERT_EQ(found.values.size(), 7u) << ranks;
      EXPECT_EQ(found.more_values, 0);
      EXPECT_EQ(found.more_samples, 0);
      for (const ValueMetrics& value : found.values) {
        const std::string name = value.value.value_or("missing");
        const std::uint64_t key = name == "two"    ? 4
                                  : name == "drei" ? 9
                                  : value.value    ? std::stoull(name)
                                                   : 0;
        const Metrics alone = metrics_alone(samples, 4, key == 0 ? GroupId{} : GroupId{key, 1});
        EXPECT_EQ(value.metrics.samples, alone.samples) << name;
        EXPECT_EQ(value.metrics.loss, alone.loss) << name;
        EXPECT_EQ(value.metrics.rmse, alone.rmse) << name;
        EXPECT_EQ(value.metrics.auc, alone.auc) << name;
        EXPECT_EQ(value.metrics.normalized_entropy, alone.normalized_entropy) << name;
        EXPECT_EQ(value.metrics.calibration, alone.calibration) << name;
        EXPECT_NEAR(value.metrics.gauc.auc, alone.gauc.auc, 1e-12) << name;
        EXPECT_EQ(value.metrics.gauc.one_class_groups, alone.gauc.one_class_groups) << name;
        EXPECT_EQ(value.metrics.gauc.auc,
                  by_value_of(samples, 4, 1, 20)
                      .values[static_cast<std::size_t>(&value - found.values.data())]
                      .metrics.gauc.auc)
            << name;
      }
    }
  }
}

TEST(Metrics, OfTheValuesWithTheMostSamplesAreShownAndTheOthersCounted) {
  Samples samples = grouped_samples(600, false);
  for (std::size_t i = 0; i < 600; ++i) {  // value v has v * v samples, the rest belongs to 10
    std::uint64_t value = 1;
    for (std::size_t left = i; value < 10 && left >= value * value;
         left -= value * value, ++value) {
    }
    samples.values[i] = {value, 1};
  }
  const MetricsByValue found = by_value_of(samples, 4, 2, 3);
  ASSERT_EQ(found.values.size(), 3u);
  EXPECT_EQ(found.values[0].value, "10");
  EXPECT_EQ(found.values[0].metrics.samples, 600 - 285);
  EXPECT_EQ(found.values[1].value, "drei");
  EXPECT_EQ(found.values[1].metrics.samples, 81);
  EXPECT_EQ(found.values[2].value, "8");
  EXPECT_EQ(found.more_values, 7);
  EXPECT_EQ(found.more_samples, 285 - 81 - 64);
}

TEST(Metrics, OfNothingAreNotNumbers) {
  const Metrics metrics = metrics_of({}, Loss::log_loss, 4, 2);
  EXPECT_EQ(metrics.samples, 0);
  EXPECT_TRUE(std::isnan(metrics.auc));
  EXPECT_TRUE(std::isnan(metrics.loss));
}

}  // namespace
}  // namespace keyshard
