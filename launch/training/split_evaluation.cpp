#include "launch/training/split_evaluation.hpp"

#include <algorithm>

#include "collectives/vote.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The columns that give samples their groups and values; null: not asked for.
struct GroupColumns {
  GroupColumn* gauc = nullptr;
  GroupColumn* by = nullptr;
};

/// Samples of some slices with what the model makes of them.
struct ScoredSamples {
  Range slices;
  std::vector<std::int64_t> offsets;  // [slices.size() + 1] as in Batch
  std::vector<float> logits, scores, labels, weights;
  std::vector<GroupId> groups, values;  // empty: not asked for

  /// The samples that `keep` names.
  template <class Keep>
  ScoredSamples(const Batch& batch, const std::vector<float>& all_logits, Loss loss,
                GroupColumns columns, const Keep& keep)
      : slices(batch.slices), offsets{0} {
    for (std::int64_t slice = 0; slice < slices.size(); ++slice) {
      const auto s = static_cast<std::size_t>(slice);
      for (std::int64_t i = batch.slice_offsets[s]; i < batch.slice_offsets[s + 1]; ++i) {
        if (keep(i)) {
          add(batch, all_logits, columns, i);
        }
      }
      offsets.push_back(static_cast<std::int64_t>(logits.size()));
    }
    scores.resize(logits.size());
    scores_of(loss, logits, scores.data());
  }

  void add(const Batch& batch, const std::vector<float>& all_logits, const GroupColumns& columns,
           std::int64_t sample) {
    const auto i = static_cast<std::size_t>(sample);
    logits.push_back(all_logits[i]);
    labels.push_back(batch.labels[i]);
    if (!batch.weights.empty()) {
      weights.push_back(batch.weights[i]);
    }
    if (columns.gauc != nullptr) {
      groups.push_back(columns.gauc->of(batch, sample));
    }
    if (columns.by != nullptr) {
      values.push_back(columns.by->of(batch, sample));
    }
  }

  Predictions of(std::int64_t slice) const {
    const auto s = static_cast<std::size_t>(slice);
    const auto part = [&]<class T>(const std::vector<T>& all) {
      return all.empty() ? Span<const T>()
                         : Span<const T>(all).subspan(offsets[s], offsets[s + 1] - offsets[s]);
    };
    return {part(logits), part(scores), part(labels), part(weights), part(groups), part(values)};
  }
};

/// Adds scored samples to an accumulator of metrics.
template <class Accumulator>
void add_scored(const ScoredSamples& scored, ThreadPool& threads, Accumulator& metrics) {
  threads.for_tasks(scored.slices.size(), [&](std::int64_t slice, int) {
    metrics.add(scored.slices.begin + slice, scored.of(slice));
  });
}

}  // namespace

GroupColumn::GroupColumn(const DataSchema& schema, const std::string& name) : name_(name) {
  const auto found = std::find(schema.features.begin(), schema.features.end(), name);
  require(name.empty() || found != schema.features.end(), Kind::invalid_argument,
          "expected a feature of the data: found \"{}\"", name);
  feature_ = name.empty() ? -1 : found - schema.features.begin();
}

GroupId GroupColumn::of(const Batch& batch, std::int64_t sample) {
  const auto bag = static_cast<std::size_t>(sample * batch.features + feature_);
  const std::int64_t begin = batch.id_offsets[bag], end = batch.id_offsets[bag + 1];
  most_ids_ = std::max(most_ids_, end - begin);
  return begin == end ? GroupId{} : GroupId{batch.ids[static_cast<std::size_t>(begin)], 1};
}

void GroupColumn::require_one_id() const {
  require(most_ids_ <= 1, Kind::invalid_argument,
          "expected at most one id of \"{}\" in a sample: found {}", name_, most_ids_);
}

SplitEvaluation::SplitEvaluation(Loss loss, std::int64_t slices, Range run,
                                 const DataSchema& schema, const EvaluationPlan& plan)
    : loss_(loss),
      plan_(plan),
      gauc_(schema, plan.metrics.gauc),
      by_(schema, plan.metrics.by),
      of_all_(loss, slices, run),
      of_unseen_(loss, slices, run),
      of_values_(loss, run) {}

void SplitEvaluation::add(const Batch& batch, const std::vector<float>& logits,
                          ThreadPool& threads) {
  const GroupColumns columns{gauc_.asked() ? &gauc_ : nullptr, by_.asked() ? &by_ : nullptr};
  const ScoredSamples all(batch, logits, loss_, columns, [](std::int64_t) { return true; });
  add_scored(all, threads, of_all_);
  if (by_.asked()) {
    add_scored(all, threads, of_values_);
    for (std::size_t i = 0; i < batch.kept.size() && batch.kept.size() == all.values.size(); ++i) {
      of_values_.name(all.values[i], batch.kept[i]);
    }
  }
  if (plan_.unseen != nullptr) {
    const auto is_new = [&](std::int64_t sample) { return plan_.unseen->contains(batch, sample); };
    add_scored(ScoredSamples(batch, logits, loss_, {columns.gauc, nullptr}, is_new), threads,
               of_unseen_);
  }
}

SplitMetrics SplitEvaluation::result(Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  if (gauc_.asked() || by_.asked()) {
    vote(communicator, [&] {
      gauc_.require_one_id();
      by_.require_one_id();
    });
  }
  const bool grouped = gauc_.asked();
  SplitMetrics metrics;
  metrics.all = of_all_.result(communicator, stream, grouped);
  if (plan_.unseen != nullptr) {
    metrics.unseen = of_unseen_.result(communicator, stream, grouped);
  }
  if (by_.asked()) {
    metrics.by_value = of_values_.result(communicator, stream, plan_.metrics.most, grouped);
    metrics.by_value->column = plan_.metrics.by;
  }
  return metrics;
}

}  // namespace keyshard
