#include "launch/training/models/group_auc.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "collectives/folded_sum.hpp"
#include "launch/training/models/group_dealing.hpp"

namespace keyshard {

void GroupAucSum::add_group(Span<const GroupedSample> group) {
  const std::int64_t samples = group.size();
  if (group.front().group.known == 0) {
    counts_.without_id += samples;
    return;
  }
  scratch_.clear();
  for (const GroupedSample& grouped : group) {
    scratch_.push_back(grouped.sample);
  }
  const double auc = area_under_curve(scratch_);
  const bool both = !std::isnan(auc);
  (both ? counts_.groups : counts_.one_class_groups) += 1;
  (both ? counts_.samples : counts_.one_class_samples) += samples;
  sum_ += both ? static_cast<double>(samples) * auc : 0;
}

void GroupAucSum::add(Span<const GroupedSample> sorted) {
  for (std::int64_t begin = 0; begin < sorted.size();) {
    std::int64_t end = begin + 1;
    while (end < sorted.size() && sorted[end].group == sorted[begin].group) {
      ++end;
    }
    add_group(sorted.subspan(begin, end - begin));
    begin = end;
  }
}

GroupAuc GroupAucSum::mean() const {
  GroupAuc result = counts_;
  result.auc = result.samples > 0 ? sum_ / static_cast<double>(result.samples)
                                  : std::numeric_limits<double>::quiet_NaN();
  return result;
}

GroupAuc group_auc(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                   std::vector<GroupedSample> samples) {
  const std::vector<GroupedSample> mine = deal_by_group(communicator, stream, std::move(samples));
  const Range parts = run_of(communicator.rank(), communicator.size(), GroupId::kParts);
  std::vector<double> terms;
  std::vector<bool> present;
  std::array<std::int64_t, 5> counts{};
  auto begin = mine.begin();
  for (std::int64_t part = parts.begin; part < parts.end; ++part) {
    const auto end = std::find_if(begin, mine.end(), [&](const GroupedSample& sample) {
      return sample.group.part() != part;
    });
    GroupAucSum sum;
    sum.add({mine.data() + (begin - mine.begin()), end - begin});
    terms.push_back(sum.sum());
    present.push_back(sum.counts().groups > 0);
    const GroupAuc& c = sum.counts();
    const std::array<std::int64_t, 5> added{c.groups, c.samples, c.one_class_groups,
                                            c.one_class_samples, c.without_id};
    std::transform(counts.begin(), counts.end(), added.begin(), counts.begin(), std::plus<>());
    begin = end;
  }
  const double sum = folded_scalar(communicator, GroupId::kParts, terms, present);
  communicator.all_reduce(Span<std::int64_t>(counts), Reduction::sum);
  GroupAuc result;
  result.auc = counts[1] > 0 ? sum / static_cast<double>(counts[1]) : result.auc;
  result.groups = counts[0];
  result.samples = counts[1];
  result.one_class_groups = counts[2];
  result.one_class_samples = counts[3];
  result.without_id = counts[4];
  return result;
}

}  // namespace keyshard
