// The bodies of StepTrace. What lies on a device is copied to the host and digested there.
#pragma once

#include "launch/training/step_trace.hpp"
#include "runtime/copy.hpp"

namespace keyshard {
/// Samples [begin, end) of a batch.
struct SampleRange {
  std::size_t begin;
  std::size_t end;

  /// The values of these samples in a vector of `width` values a sample.
  template <class T>
  Span<const T> of(const std::vector<T>& values, std::int64_t width = 1) const {
    const auto w = static_cast<std::size_t>(width);
    return Span<const T>(values).subspan(begin * w, (end - begin) * w);
  }
};

inline void add_ids(Digest& digest, const Batch& batch, const SampleRange& samples) {
  const auto features = static_cast<std::size_t>(batch.features);
  const std::size_t first = samples.begin * features, last = samples.end * features;
  for (std::size_t bag = first; bag < last; ++bag) {
    digest.add(static_cast<std::uint64_t>(batch.id_offsets[bag + 1] - batch.id_offsets[bag]));
  }
  const auto begin = static_cast<std::size_t>(batch.id_offsets[first]),
             end = static_cast<std::size_t>(batch.id_offsets[last]);
  digest.add(Span<const Key>(batch.ids).subspan(begin, end - begin));
  if (!batch.id_weights.empty()) {
    digest.add(Span<const float>(batch.id_weights).subspan(begin, end - begin));
  }
}

template <Backend B>
template <class Add>
void StepTrace<B>::add_samples(std::int64_t step, const char* stage, const char* tensor,
                               const Batch& batch, const Add& add) {
  std::vector<Digest128> digests(static_cast<std::size_t>(batch.slices.size()));
  host_of(stream_).threads().for_tasks(batch.slices.size(), [&](std::int64_t slice, int) {
    const auto s = static_cast<std::size_t>(slice);
    Digest digest;
    add(digest, SampleRange{static_cast<std::size_t>(batch.slice_offsets[s]),
                            static_cast<std::size_t>(batch.slice_offsets[s + 1])});
    digests[s] = digest.result();
  });
  trace_.add_slices(step, stage, tensor, digests);
}

template <Backend B>
void StepTrace<B>::add_views(std::int64_t step, const char* stage, const Batch& batch,
                             const PooledViews<const float>& views) {
  const auto add = [&](const char* tensor, const MatrixView<const float>& matrix) {
    const std::vector<float> values =
        to_host(stream_, Span<const float>(matrix.data, matrix.rows * matrix.stride));
    const MatrixView<const float> view{values.data(), matrix.rows, matrix.cols, matrix.stride};
    add_samples(step, stage, tensor, batch, [&](Digest& digest, const SampleRange& samples) {
      for (std::size_t i = samples.begin; view.cols > 0 && i < samples.end; ++i) {
        digest.add(view.row(static_cast<std::int64_t>(i)),
                   static_cast<std::size_t>(view.cols) * sizeof(float));
      }
    });
  };
  add("factors", views.factors);
  add("linear", views.linear);
}

template <Backend B>
void StepTrace<B>::batch(std::int64_t step, const Batch& batch) {
  const auto add = [&](const char* tensor, const auto& values, std::int64_t width) {
    add_samples(step, "batch", tensor, batch, [&](Digest& digest, const SampleRange& samples) {
      digest.add(samples.of(values, width));
    });
  };
  add("records", batch.records, 1);
  add("labels", batch.labels, 1);
  add("weights", batch.weights, batch.weights.empty() ? 0 : 1);
  add("dense", batch.dense, batch.dense_columns);
  add_samples(step, "batch", "ids", batch,
              [&](Digest& digest, const SampleRange& samples) { add_ids(digest, batch, samples); });
}

template <Backend B>
void StepTrace<B>::pooled(std::int64_t step, const Batch& batch,
                          const PooledViews<const float>& pooled) {
  add_views(step, "pooled", batch, pooled);
}

template <Backend B>
void StepTrace<B>::gradients(std::int64_t step, const Batch& batch,
                             const PooledViews<const float>& gradients, const DenseSide<B>& dense,
                             double loss) {
  trace_.add(step, "gradients", "loss", digest_of(&loss, sizeof loss));
  add_views(step, "gradients", batch, gradients);
  std::vector<Digest128> slices;
  for (std::int64_t slice = 0; slice < batch.slices.size(); ++slice) {
    const std::vector<float> values = to_host(stream_, dense.slice_gradients(slice));
    slices.push_back(digest_of(values.data(), values.size() * sizeof(float)));
  }
  trace_.add_slices(step, "gradients", "dense parameters", slices);
}

template <Backend B>
void StepTrace<B>::update(std::int64_t step, const std::vector<TableDigests>& tables,
                          const NamedDigests& dense) {
  for (const TableDigests& table : tables) {
    trace_.add(step, "update", "table " + table.name,
               Digest().add(Span<const Digest128>(table.digests)).result());
  }
  for (const auto& [name, digest] : dense) {
    trace_.add(step, "update", "dense " + name, digest);
  }
  trace_.flush();
}

}  // namespace keyshard
