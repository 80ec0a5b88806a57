// GAUC: the mean of the AUCs of groups of samples, such as those of a user, weighted by the numbers
// of samples. Groups are the ids of a column. The samples of a group meet on one rank, where their
// AUC is counted in integers; groups fall into parts by a hash of their id, and the sum over groups
// is taken in the order of parts and ids, so it has the same bits on any number of ranks.
// Source: Zhou et al., Deep interest network for click-through rate prediction, KDD 2018.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include "launch/training/models/auc.hpp"
#include "runtime/hash.hpp"

namespace keyshard {

/// The id of a sample in a column of one id.
struct GroupId {
  Key key = 0;
  std::uint64_t known = 0;  ///< 1; or 0 where the sample has no id, and the key is 0

  auto operator<=>(const GroupId&) const = default;

  static constexpr std::int64_t kParts = 1024;

  /// Which of kParts parts the group falls into; each rank owns a run of parts.
  std::int64_t part() const {
    return static_cast<std::int64_t>(hash_of(key, known) % static_cast<std::uint64_t>(kParts));
  }
};

struct GroupedSample {
  GroupId group;
  RankedSample sample;

  /// The order of samples where they are dealt to ranks.
  auto place() const { return std::tuple(group.part(), group, sample.key); }
};

struct GroupAuc {
  double auc = std::numeric_limits<double>::quiet_NaN();  ///< NaN where no group counts
  std::int64_t groups = 0;             ///< that count: those with weight in both classes
  std::int64_t samples = 0;            ///< of these groups
  std::int64_t one_class_groups = 0;   ///< left out
  std::int64_t one_class_samples = 0;  ///< of these groups
  std::int64_t without_id = 0;         ///< samples that belong to no group

  /// Whether there were samples, with or without groups.
  bool has_samples() const { return groups + one_class_groups + without_id > 0; }
};

/// The sum over some groups.
class GroupAucSum {
 public:
  /// Adds groups, each whole, ascending by group and then by the key of the sample.
  void add(Span<const GroupedSample> sorted);

  /// The sum of samples x AUC over the groups that count.
  double sum() const noexcept { return sum_; }

  /// What was added: all members of GroupAuc but `auc`.
  const GroupAuc& counts() const noexcept { return counts_; }

  /// The mean over these groups.
  GroupAuc mean() const;

 private:
  void add_group(Span<const GroupedSample> group);

  double sum_ = 0;
  GroupAuc counts_;
  std::vector<RankedSample> scratch_;
};

/// The GAUC of the samples of all ranks, on every rank. Collective.
GroupAuc group_auc(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                   std::vector<GroupedSample> samples);

}  // namespace keyshard
