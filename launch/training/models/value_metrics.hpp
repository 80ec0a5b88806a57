// Metrics per value of a column, over all ranks: those of a value are the metrics that its samples
// have alone, in the same slices, so they have the same bits on any number of ranks. The samples of
// a value meet on one rank.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "launch/training/models/metrics.hpp"

namespace keyshard {

struct ValueMetrics {
  /// The least text that the value has in the data, or else its key; nothing where it is no id.
  std::optional<std::string> value;
  Metrics metrics;
};

/// The values with the most samples, in this order, then by key; the others are counted.
struct MetricsByValue {
  std::string column = {};
  std::vector<ValueMetrics> values = {};
  std::int64_t more_values = 0;
  std::int64_t more_samples = 0;
};

/// A value and the number of its samples; values with more samples come first.
struct CountedValue {
  GroupId value;
  std::int64_t samples = 0;

  bool operator<(const CountedValue& other) const {
    return samples != other.samples ? samples > other.samples : value < other.value;
  }
};

struct MeasuredValue {
  CountedValue counted;
  Metrics metrics;
};

/// Metrics of all samples of a split, and where asked for, of those whose ids are new
/// (unseen_ids.hpp), and of those of each value of a column.
struct SplitMetrics {
  Metrics all;
  std::optional<Metrics> unseen = {};
  std::optional<MetricsByValue> by_value = {};
};

class ValueAccumulator {
 public:
  /// For the slices `run`, those of this rank.
  ValueAccumulator(Loss loss, Range run);

  /// Adds samples of one slice of the run by their `values`, which must be there. Calls for
  /// different slices may run at the same time.
  void add(std::int64_t slice, const Predictions& predictions);

  /// A text that the value has in the data. For one thread at a time.
  void name(const GroupId& value, std::string_view text);

  /// The metrics of at most `most` values of everything that was added on any rank, on every rank,
  /// with `grouped` GAUC too. Collective.
  MetricsByValue result(Communicator<Cpu>& communicator, Stream<Cpu>& stream, std::int64_t most,
                        bool grouped);

 private:
  struct Hash {
    std::size_t operator()(const GroupId& id) const { return hash_of(id.key, id.known); }
  };

  struct Term {
    GroupId value;
    std::int64_t slice = 0;
    MetricSums sums;

    auto place() const { return std::tuple(value.part(), value, slice); }
  };

  struct Sample {
    GroupId value;
    GroupedSample grouped;

    auto place() const {
      return std::tuple(value.part(), value, grouped.group, grouped.sample.key);
    }
  };

  struct Slice {
    std::unordered_map<GroupId, MetricSums, Hash> sums;
    std::vector<Sample> samples;
  };

  /// A value of this rank, and where its terms and its samples lie.
  struct Owned {
    CountedValue counted;
    Range terms;
    Range samples;
  };

  std::vector<Term> terms() const;
  std::vector<Sample> samples();
  static std::vector<Owned> owned_of(const std::vector<Term>& terms,
                                     const std::vector<Sample>& samples);
  Metrics metrics_of(Span<const Term> terms, Span<const Sample> samples, bool grouped) const;
  std::vector<std::string> names_of(Communicator<Cpu>& communicator,
                                    const std::vector<MeasuredValue>& values) const;
  MetricsByValue named(Communicator<Cpu>& communicator, const std::vector<MeasuredValue>& measured,
                       MetricsByValue rest) const;

  Loss loss_;
  Range run_;
  std::vector<Slice> slices_;  // [run_.size()]
  std::unordered_map<GroupId, std::string, Hash> names_;
};

}  // namespace keyshard
