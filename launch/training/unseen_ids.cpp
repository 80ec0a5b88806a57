#include "launch/training/unseen_ids.hpp"

#include <algorithm>

#include "collectives/vote.hpp"
#include "io/make_reader.hpp"
#include "io/text_files.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"

namespace keyshard {
namespace {

void sort_unique(std::vector<std::uint64_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

/// Removes each value i that any rank has seen (seen[i] is not 0 there).
void remove_seen(Communicator<Cpu>& communicator, std::vector<std::int64_t>& seen,
                 std::vector<std::uint64_t>& values) {
  communicator.all_reduce(Span<std::int64_t>(seen), Reduction::max);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (seen[i] == 0) {
      values[kept++] = values[i];
    }
  }
  values.resize(kept);
}

/// Refuses pipes: the training data is read once more, beside the training itself.
void require_files(const DataOptions& data) {
  for (const std::string& path : data.files(Split::train)) {
    require(!is_pipe(path), Kind::invalid_argument,
            "{}: expected a file of training data where job.unseen is set, for it is read twice: "
            "found a pipe",
            path);
  }
}

}  // namespace

UnseenIds::UnseenIds(const JobConfig& config, DataReader& evaluated,
                     Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  const InPhase phase(communicator.progress(), Phase::reading);
  vote(communicator, [&] { require_files(config.data); });
  const std::vector<std::string>& names = evaluated.schema().features;
  for (const std::string& name : config.job.unseen) {
    features_.push_back(std::find(names.begin(), names.end(), name) - names.begin());
  }
  unseen_ = communicator.gather_joined(Span<const std::uint64_t>(distinct(evaluated)));
  sort_unique(unseen_);

  std::vector<std::int64_t> seen(unseen_.size());
  const auto training =
      make_reader(config.data, Split::train, read_plan(config, false), communicator, stream);
  Batch batch;
  while (training->next(batch)) {
    for (std::int64_t sample = 0; sample < batch.samples(); ++sample) {
      if (batch.labels[static_cast<std::size_t>(sample)] <= 0.5f) {
        continue;
      }
      const std::uint64_t value = hash(batch, sample);
      const auto at = std::lower_bound(unseen_.begin(), unseen_.end(), value);
      if (at != unseen_.end() && *at == value) {
        seen[static_cast<std::size_t>(at - unseen_.begin())] = 1;
      }
    }
    communicator.progress().advance();
  }
  remove_seen(communicator, seen, unseen_);
}

bool UnseenIds::contains(const Batch& batch, std::int64_t sample) const {
  return std::binary_search(unseen_.begin(), unseen_.end(), hash(batch, sample));
}

std::uint64_t UnseenIds::hash(const Batch& batch, std::int64_t sample) const {
  std::uint64_t value = 0;
  for (const std::int64_t feature : features_) {
    const auto bag = static_cast<std::size_t>(sample * batch.features + feature);
    const std::int64_t begin = batch.id_offsets[bag], end = batch.id_offsets[bag + 1];
    value = hash_of(value, static_cast<std::uint64_t>(end - begin));
    for (std::int64_t i = begin; i < end; ++i) {
      value = hash_of(value, batch.ids[static_cast<std::size_t>(i)]);
    }
  }
  return value;
}

std::vector<std::uint64_t> UnseenIds::distinct(DataReader& reader) const {
  std::vector<std::uint64_t> values;
  Batch batch;
  while (reader.next(batch)) {
    for (std::int64_t sample = 0; sample < batch.samples(); ++sample) {
      values.push_back(hash(batch, sample));
    }
    sort_unique(values);
  }
  return values;
}

}  // namespace keyshard
