#include "io/packed_rows.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The digest of the part of a column that has the samples [first, first + count) of `samples`.
template <class T>
Digest128 part_digest(const std::vector<T>& values, std::int64_t samples, std::int64_t first,
                      std::int64_t count) {
  const std::int64_t width = samples == 0 ? 0 : std::ssize(values) / samples;
  return digest_of(values.data() + first * width,
                   static_cast<std::size_t>(count * width) * sizeof(T));
}

/// The first sample of which a number is not finite; `samples` where all are.
std::int64_t first_not_finite(const std::vector<float>& values, std::int64_t samples) {
  const auto found =
      std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  return found == values.end() ? samples
                               : (found - values.begin()) / (std::ssize(values) / samples);
}

}  // namespace

Digest128 PackedRows::digest(std::int64_t first, std::int64_t count) const {
  const std::int64_t features = samples() == 0 ? 0 : (std::ssize(id_offsets) - 1) / samples();
  const std::int64_t* const offsets = id_offsets.data() + first * features;
  const auto begin = static_cast<std::size_t>(offsets[0] - id_offsets[0]);
  const auto n = static_cast<std::size_t>(offsets[count * features] - offsets[0]);
  Digest digest;
  digest.add(part_digest(labels, samples(), first, count))
      .add(part_digest(weights, samples(), first, count))
      .add(part_digest(dense, samples(), first, count))
      .add(digest_of(offsets, static_cast<std::size_t>(count * features + 1) * sizeof(*offsets)))
      .add(digest_of(ids.data() + begin, n * sizeof(Key)));
  if (!id_weights.empty()) {
    digest.add(digest_of(id_weights.data() + begin, n * sizeof(float)));
  }
  return digest.result();
}

void check_numbers(const PackedRows& rows, const LabelRange& labels, const std::string& path,
                   std::int64_t first) {
  const std::int64_t samples = rows.samples();
  for (const std::vector<float>* values : {&rows.labels, &rows.weights, &rows.dense}) {
    const std::int64_t sample = first_not_finite(*values, samples);
    require(sample == samples, Kind::bad_input,
            "{}: sample {}: expected finite numbers: found another one", path, first + sample);
  }
  const auto finite = [](float x) { return std::isfinite(x); };
  require(std::all_of(rows.id_weights.begin(), rows.id_weights.end(), finite), Kind::bad_input,
          "{}: samples {} to {}: expected finite weights of ids: found another one", path, first,
          first + samples - 1);
  for (std::size_t i = 0; i < rows.weights.size(); ++i) {
    require(rows.weights[i] >= 0, Kind::bad_input,
            "{}: sample {}: expected a weight of at least 0: found {}", path,
            first + static_cast<std::int64_t>(i), rows.weights[i]);
  }
  for (std::size_t i = 0; i < rows.labels.size(); ++i) {
    require(labels.has(rows.labels[i]), Kind::bad_input,
            "{}: sample {}: expected a label from {} to {}, for {} needs such: found {}; convert "
            "the text again with positive = [\"...\"] on the column of the label",
            path, first + static_cast<std::int64_t>(i), labels.least, labels.most, labels.reason,
            rows.labels[i]);
  }
}

std::vector<std::int64_t> pieces_before(const std::vector<std::int64_t>& blocks) {
  std::vector<std::int64_t> before{0};
  for (const std::int64_t samples : blocks) {
    before.push_back(before.back() + (samples + kPieceSamples - 1) / kPieceSamples);
  }
  return before;
}

Digest128 packed_digest(const std::string& schema, const std::vector<std::int64_t>& blocks,
                        const std::vector<Digest128>& pieces) {
  Digest digest;
  digest.add(schema)
      .add(static_cast<std::uint64_t>(blocks.size()))
      .add(Span<const std::int64_t>(blocks));
  for (const Digest128& piece : pieces) {
    digest.add(piece);
  }
  return digest.result();
}

}  // namespace keyshard
