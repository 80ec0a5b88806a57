#include "launch/training/models/value_metrics.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "collectives/texts.hpp"
#include "launch/training/models/group_dealing.hpp"
#include "runtime/fold.hpp"
#include "runtime/joined.hpp"
#include "runtime/sort_pairs.hpp"

namespace keyshard {
namespace {

std::vector<CountedValue> first_of(std::vector<CountedValue> values, std::int64_t most) {
  std::sort(values.begin(), values.end());
  values.resize(static_cast<std::size_t>(std::min(most, std::ssize(values))));
  return values;
}

/// The first values of all ranks, on every rank. Collective.
std::vector<CountedValue> first_of_all(Communicator<Cpu>& communicator,
                                       std::vector<CountedValue> mine, std::int64_t most) {
  mine = first_of(std::move(mine), most);
  return first_of(communicator.gather_joined(Span<const CountedValue>(mine)), most);
}

/// What all ranks have measured, on every rank. Collective.
std::vector<MeasuredValue> all_in_order(Communicator<Cpu>& communicator,
                                        std::vector<MeasuredValue> mine) {
  mine = communicator.gather_joined(Span<const MeasuredValue>(mine));
  std::sort(mine.begin(), mine.end(),
            [](const MeasuredValue& a, const MeasuredValue& b) { return a.counted < b.counted; });
  return mine;
}

/// The end of the items from `begin` on that have the value of the first one.
template <class Item>
std::int64_t end_of_value(const std::vector<Item>& items, std::int64_t begin) {
  const GroupId value = items[static_cast<std::size_t>(begin)].value;
  const auto end = std::find_if(items.begin() + begin, items.end(),
                                [&](const Item& item) { return item.value != value; });
  return end - items.begin();
}

}  // namespace

ValueAccumulator::ValueAccumulator(Loss loss, Range run)
    : loss_(loss), run_(run), slices_(static_cast<std::size_t>(run.size())) {}

void ValueAccumulator::add(std::int64_t slice, const Predictions& predictions) {
  Slice& to = slices_[static_cast<std::size_t>(slice - run_.begin)];
  for (std::int64_t i = 0; i < predictions.labels.size(); ++i) {
    const GroupId value = predictions.values[i];
    predictions.add_to(to.sums[value], loss_, i);
    if (loss_ == Loss::log_loss) {
      const GroupId group = predictions.groups.empty() ? GroupId{} : predictions.groups[i];
      to.samples.push_back({value, {group, predictions.ranked(i)}});
    }
  }
}

void ValueAccumulator::name(const GroupId& value, std::string_view text) {
  const auto [found, added] = names_.try_emplace(value, text);
  if (!added && text < found->second) {
    found->second = text;
  }
}

std::vector<ValueAccumulator::Term> ValueAccumulator::terms() const {
  std::vector<Term> all;
  for (std::int64_t slice = run_.begin; slice < run_.end; ++slice) {
    for (const auto& [value, sums] : slices_[static_cast<std::size_t>(slice - run_.begin)].sums) {
      all.push_back({value, slice, sums});
    }
  }
  return all;
}

std::vector<ValueAccumulator::Sample> ValueAccumulator::samples() {
  std::vector<Sample> all;
  for (Slice& slice : slices_) {
    all.insert(all.end(), slice.samples.begin(), slice.samples.end());
    slice.samples = {};
  }
  return all;
}

Metrics ValueAccumulator::metrics_of(Span<const Term> terms, Span<const Sample> samples,
                                     bool grouped) const {
  double stack[Fold<double>::kDepth * MetricSums::kSums];
  Fold<double> fold(stack, static_cast<std::int64_t>(MetricSums::kSums));
  MetricSums folded;
  for (const Term& term : terms) {
    folded.samples += term.sums.samples;
    std::copy(term.sums.sums.begin(), term.sums.sums.end(), fold.push(Solo{}, term.slice));
  }
  std::copy_n(fold.finish(Solo{}), MetricSums::kSums, folded.sums.begin());
  Metrics metrics = folded.means(loss_);

  std::vector<GroupedSample> of_groups;
  std::vector<RankedSample> ranked;
  for (const Sample& sample : samples) {
    of_groups.push_back(sample.grouped);
    ranked.push_back(sample.grouped.sample);
  }
  sort_pairs(Span<RankedSample>(ranked));
  metrics.auc = area_under_curve(ranked);
  if (grouped) {
    GroupAucSum sum;
    sum.add(of_groups);
    metrics.gauc = sum.mean();
  }
  return metrics;
}

/// The texts of values, the same on all ranks. Collective.
std::vector<std::string> ValueAccumulator::names_of(
    Communicator<Cpu>& communicator, const std::vector<MeasuredValue>& values) const {
  std::vector<std::string> mine;
  for (const MeasuredValue& value : values) {
    const auto found = names_.find(value.counted.value);
    mine.push_back(found == names_.end() ? "" : "=" + found->second);
  }
  std::vector<std::string> names(values.size());
  for (const std::string& of_rank : gather_texts(communicator, joined(mine, "\n"))) {
    std::istringstream lines(of_rank);
    for (std::string& name : names) {
      std::string line;
      std::getline(lines, line);
      name = name.empty() || (!line.empty() && line < name) ? line : name;
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    names[i] =
        names[i].empty() ? fmt::format("{}", values[i].counted.value.key) : names[i].substr(1);
  }
  return names;
}

std::vector<ValueAccumulator::Owned> ValueAccumulator::owned_of(
    const std::vector<Term>& terms, const std::vector<Sample>& samples) {
  std::vector<Owned> owned;
  for (std::int64_t term = 0, sample = 0; term < std::ssize(terms);) {
    const std::int64_t end = end_of_value(terms, term);
    const std::int64_t samples_end = samples.empty() ? 0 : end_of_value(samples, sample);
    owned.push_back(
        {{terms[static_cast<std::size_t>(term)].value, 0}, {term, end}, {sample, samples_end}});
    for (; term < end; ++term) {
      owned.back().counted.samples += terms[static_cast<std::size_t>(term)].sums.samples;
    }
    sample = samples_end;
  }
  return owned;
}

MetricsByValue ValueAccumulator::result(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                        std::int64_t most, bool grouped) {
  const std::vector<Term> terms = deal_by_group(communicator, stream, this->terms());
  const std::vector<Sample> samples = deal_by_group(communicator, stream, this->samples());
  const std::vector<Owned> owned = owned_of(terms, samples);

  std::vector<CountedValue> counted;
  std::int64_t totals[2] = {};  // values, samples
  for (const Owned& value : owned) {
    counted.push_back(value.counted);
    totals[0] += 1;
    totals[1] += value.counted.samples;
  }
  communicator.all_reduce(Span<std::int64_t>(totals), Reduction::sum);
  const std::vector<CountedValue> shown = first_of_all(communicator, std::move(counted), most);

  std::vector<MeasuredValue> measured;
  for (const Owned& value : owned) {
    if (std::binary_search(shown.begin(), shown.end(), value.counted)) {
      const Span<const Term> of_terms{terms.data() + value.terms.begin, value.terms.size()};
      const Span<const Sample> of_samples{samples.data() + value.samples.begin,
                                          value.samples.size()};
      measured.push_back({value.counted, metrics_of(of_terms, of_samples, grouped)});
    }
  }
  return named(communicator, all_in_order(communicator, std::move(measured)),
               {.more_values = totals[0], .more_samples = totals[1]});
}

/// Moves what was measured from the counts of the rest to the values. Collective.
MetricsByValue ValueAccumulator::named(Communicator<Cpu>& communicator,
                                       const std::vector<MeasuredValue>& measured,
                                       MetricsByValue rest) const {
  const std::vector<std::string> names = names_of(communicator, measured);
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const bool known = measured[i].counted.value.known != 0;
    rest.values.push_back({known ? std::optional(names[i]) : std::nullopt, measured[i].metrics});
    rest.more_values -= 1;
    rest.more_samples -= measured[i].metrics.samples;
  }
  return rest;
}

}  // namespace keyshard
