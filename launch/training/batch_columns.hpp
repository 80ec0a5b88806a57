// The columns of a batch that a model reads, beside the embeddings, on the device: borrowed from
// the batch on a CPU, copied once a step elsewhere.
#pragma once

#include <cstdint>

#include "io/batch.hpp"
#include "launch/training/models/model.hpp"
#include "runtime/buffer.hpp"
#include "runtime/copy.hpp"

namespace keyshard {

/// The embeddings of a batch, or their gradients, in memory of the device: one row per sample.
template <class T>
struct PooledViews {
  MatrixView<T> factors;
  MatrixView<T> linear;
};

/// The rows of some samples; an empty view stays empty.
template <class T>
MatrixView<T> rows_of_samples(const MatrixView<T>& matrix, Range samples) {
  return matrix.data == nullptr
             ? MatrixView<T>{}
             : MatrixView<T>{matrix.row(samples.begin), samples.size(), matrix.cols, matrix.stride};
}

template <Backend B>
class BatchColumns {
 public:
  /// `batch` is borrowed.
  BatchColumns(Stream<B>& stream, const Batch& batch)
      : batch_(batch),
        offsets_(view(stream, batch.slice_offsets, offsets_copy_)),
        labels_(view(stream, batch.labels, labels_copy_)),
        weights_(view(stream, batch.weights, weights_copy_)),
        dense_(view(stream, batch.dense, dense_copy_)),
        sample_numbers_(view(stream, batch.sample_numbers, sample_numbers_copy_)) {}

  /// The samples of some slices; slices are counted from the first slice of this rank.
  Range samples_of(Range slices) const {
    return {batch_.slice_offsets[static_cast<std::size_t>(slices.begin)],
            batch_.slice_offsets[static_cast<std::size_t>(slices.end)]};
  }

  /// What the model reads of these slices.
  GroupInput input(Range slices, const PooledViews<const float>& pooled) const {
    const Range samples = samples_of(slices);
    GroupInput input;
    input.group = {{offsets_ + slices.begin, slices.size()},
                   batch_.slice_offsets.data() + slices.begin};
    input.factors = rows_of_samples(pooled.factors, samples);
    input.linear = rows_of_samples(pooled.linear, samples);
    input.dense = {dense_ + samples.begin * batch_.dense_columns, samples.size(),
                   batch_.dense_columns, batch_.dense_columns};
    input.labels = labels_ + samples.begin;
    input.weights = batch_.weights.empty() ? nullptr : weights_ + samples.begin;
    input.sample_numbers = sample_numbers_ + samples.begin;
    return input;
  }

 private:
  template <class T>
  static const T* view(Stream<B>& stream, const std::vector<T>& host, Buffer<T, B>& copy) {
    return device_view(stream, Span<const T>(host), copy);
  }

  const Batch& batch_;
  Buffer<std::int64_t, B> offsets_copy_, sample_numbers_copy_;
  Buffer<float, B> labels_copy_, weights_copy_, dense_copy_;
  const std::int64_t* offsets_;
  const float* labels_;
  const float* weights_;
  const float* dense_;
  const std::int64_t* sample_numbers_;
};

}  // namespace keyshard
