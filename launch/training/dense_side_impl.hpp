// The bodies of DenseSide, for any device.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "launch/training/dense_side.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/fold_vectors.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// flags[block] = whether a number of the block is not finite.
struct FlagNonFinite {
  static constexpr std::int64_t kBlock = 2048;

  const float* values;
  std::int64_t size;
  std::int32_t* flags;

  std::int64_t work() const { return kBlock / 8; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t block, const Team& team) const {
    const std::int64_t begin = block * kBlock;
    const std::int64_t end = begin + kBlock < size ? begin + kBlock : size;
    int found = 0;
    for (std::int64_t i = begin + team.thread_rank(); i < end; i += team.num_threads()) {
      found |= values[i] - values[i] == 0.0f ? 0 : 1;  // inf - inf is NaN, and so is NaN - NaN
    }
    const bool any = team.any(found != 0);
    if (team.thread_rank() == 0) {
      flags[block] = any ? 1 : 0;
    }
  }
};

template <Backend B>
DenseSide<B>::DenseSide(const ModelOptions& options, const ModelShape& shape,
                        Communicator<B>& communicator, Stream<B>& stream, std::int64_t slices,
                        std::uint64_t seed)
    : communicator_(communicator),
      stream_(stream),
      slices_(slices),
      run_(run_of(communicator.rank(), communicator.size(), slices)),
      model_(make_model<B>(options, shape)),
      weights_(to_device(stream, Span<const float>(model_->parameters().initial_values(seed)))),
      statistics_(to_device(stream, Span<const float>(model_->initial_statistics()))),
      sum_(communicator, slices, model_->parameters().size()),
      statistics_sum_(communicator, slices, model_->statistics_size()),
      optimizer_(stream, options.optimizer, sum_.chunk().size()),
      workspaces_(make_workspaces(stream)),
      slice_gradients_(stream, run_.size() * model_->parameters().size()),
      slice_statistics_(stream, run_.size() * model_->statistics_size()),
      slice_losses_(to_device(stream, std::vector<double>(static_cast<std::size_t>(run_.size())))) {
}

template <Backend B>
void DenseSide<B>::note_presence(const BatchColumns<B>& columns) {
  present_.clear();
  has_statistics_.clear();
  for (std::int64_t slice = 0; slice < run_.size(); ++slice) {
    const std::int64_t samples = columns.samples_of({slice, slice + 1}).size();
    present_.push_back(samples > 0 ? 1 : 0);
    has_statistics_.push_back(model_->has_statistics(samples) ? 1 : 0);
  }
}

template <Backend B>
GroupOutput DenseSide<B>::output_of(Range slices, Range samples,
                                    const PooledViews<float>& gradients) {
  GroupOutput output;
  output.factors = rows_of_samples(gradients.factors, samples);
  output.linear = rows_of_samples(gradients.linear, samples);
  output.parameters = slice_gradients_.data() + slices.begin * model_->parameters().size();
  output.batch_statistics = slice_statistics_.data() + slices.begin * model_->statistics_size();
  output.losses = slice_losses_.data() + slices.begin;
  return output;
}

template <Backend B>
double DenseSide<B>::forward_backward(const Batch& batch, const StepContext& context,
                                      const PooledViews<const float>& pooled,
                                      const PooledViews<float>& gradients) {
  const BatchColumns<B> columns(stream_, batch);
  Buffer<float, B> logits(stream_, batch.samples());
  note_presence(columns);
  for_slice_groups(stream_, workspaces_, run_.size(),
                   [&](Range slices, TaskQueue<B>& queue, Workspace<B>& workspace) {
                     const Range samples = columns.samples_of(slices);
                     if (samples.size() > 0) {
                       GroupOutput output = output_of(slices, samples, gradients);
                       output.logits = logits.data() + samples.begin;
                       model_->forward_backward(queue, workspace, numbers(), context,
                                                columns.input(slices, pooled), output);
                     }
                   });
  const std::vector<double> losses = to_host(stream_, std::as_const(slice_losses_).span());
  const double sum = folded_scalar(communicator_, slices_, losses,
                                   std::vector<bool>(present_.begin(), present_.end()));
  return sum / static_cast<double>(std::max<std::int64_t>(context.valid_samples, 1));
}

template <Backend B>
Span<const float> DenseSide<B>::slice_gradients(std::int64_t i) const {
  const std::int64_t size = model_->parameters().size();
  return present_[static_cast<std::size_t>(i)] == 0
             ? Span<const float>()
             : Span<const float>(slice_gradients_.data() + i * size,
                                 static_cast<std::size_t>(size));
}

template <Backend B>
std::vector<NodePartial<float>> DenseSide<B>::fold_nodes(Buffer<float, B>& partials,
                                                         const std::vector<char>& present,
                                                         const float* slices, std::int64_t size) {
  const std::vector<Range> nodes = nodes_of(run_);
  partials = {stream_, static_cast<std::int64_t>(nodes.size()) * size};
  std::vector<VectorTerm<float>> terms;
  std::vector<std::int64_t> offsets{0};
  std::vector<NodePartial<float>> result;
  float* to = partials.data();
  for (const Range& node : nodes) {
    for (std::int64_t slice = node.begin; slice < node.end; ++slice) {
      if (present[static_cast<std::size_t>(slice - run_.begin)] != 0) {
        terms.push_back({slice, slices + (slice - run_.begin) * size});
      }
    }
    const auto end = static_cast<std::int64_t>(terms.size());
    result.push_back({node.begin, end > offsets.back() ? to : nullptr});
    offsets.push_back(end);
    to += size;
  }
  fold_vectors(stream_, Span<const VectorTerm<float>>(terms), Span<const std::int64_t>(offsets),
               size, partials.data());
  return result;
}

template <Backend B>
void DenseSide<B>::update_statistics() {
  const std::int64_t size = model_->statistics_size();
  if (size == 0) {
    return;
  }
  Buffer<float, B> partials, folded(stream_, size);
  const auto nodes = fold_nodes(partials, has_statistics_, slice_statistics_.data(), size);
  statistics_sum_.reduce(stream_, nodes, folded.data() + statistics_sum_.chunk().begin);
  statistics_sum_.gather(stream_, folded.data());
  std::int64_t present = std::count(has_statistics_.begin(), has_statistics_.end(), 1);
  communicator_.all_reduce(Span<std::int64_t>(&present, 1), Reduction::sum);
  model_->update_statistics(stream_, folded.data(), present, statistics_.data());
}

/// The host reads flags of blocks, and gradients only of the block whose bad number it names.
template <Backend B>
void DenseSide<B>::require_finite(const Buffer<float, B>& gradients) {
  constexpr std::int64_t kBlock = FlagNonFinite::kBlock;
  const std::int64_t size = gradients.size();
  Buffer<std::int32_t, B> flags(stream_, (size + kBlock - 1) / kBlock);
  for_each_row(stream_, flags.size(), FlagNonFinite{gradients.data(), size, flags.data()});
  const std::vector<std::int32_t> found = to_host(stream_, std::as_const(flags).span());
  const auto flag = std::find(found.begin(), found.end(), 1);
  if (flag == found.end()) {
    return;
  }
  const std::int64_t begin = (flag - found.begin()) * kBlock;
  std::vector<float> block(static_cast<std::size_t>(std::min(kBlock, size - begin)));
  copy_to_host(stream_, gradients.data() + begin, static_cast<std::int64_t>(block.size()),
               block.data());
  const auto first =
      std::find_if(block.begin(), block.end(), [](float x) { return !std::isfinite(x); });
  fail(Kind::non_finite, "expected finite gradients of the dense parameters: found {} at {}",
       *first, sum_.chunk().begin + begin + (first - block.begin()));
}

template <Backend B>
void DenseSide<B>::update(float learning_rate_scale) {
  Buffer<float, B> partials;
  const auto nodes =
      fold_nodes(partials, present_, slice_gradients_.data(), model_->parameters().size());
  const Range chunk = sum_.chunk();
  Buffer<float, B> gradients(stream_, chunk.size());
  sum_.reduce(stream_, nodes, gradients.data());
  require_finite(gradients);
  model_->add_l2(stream_, weights_.data(), chunk, gradients.data());
  optimizer_.step(stream_, learning_rate_scale, gradients.data(), weights_.data() + chunk.begin);
  sum_.gather(stream_, weights_.data());
  update_statistics();
}

template <Backend B>
std::vector<float> DenseSide<B>::predict(const Batch& batch,
                                         const PooledViews<const float>& pooled) {
  const BatchColumns<B> columns(stream_, batch);
  Buffer<float, B> logits(stream_, batch.samples());
  for_slice_groups(stream_, workspaces_, run_.size(),
                   [&](Range slices, TaskQueue<B>& queue, Workspace<B>& workspace) {
                     const Range samples = columns.samples_of(slices);
                     if (samples.size() > 0) {
                       model_->forward(queue, workspace, numbers(), columns.input(slices, pooled),
                                       logits.data() + samples.begin);
                     }
                   });
  return to_host(stream_, std::as_const(logits).span());
}

template <Backend B>
std::vector<DensePart> DenseSide<B>::parts() {
  std::vector<DensePart> result{{"weights", to_host(stream_, std::as_const(weights_).span())}};
  const std::vector<std::vector<float>> states = optimizer_.states(stream_);
  for (std::size_t s = 0; s < states.size(); ++s) {
    Buffer<float, B> whole(stream_, weights_.size());
    copy_to_device(stream_, states[s].data(), sum_.chunk().size(),
                   whole.data() + sum_.chunk().begin);
    sum_.gather(stream_, whole.data());
    result.push_back(
        {"state/" + optimizer_.names()[s], to_host(stream_, std::as_const(whole).span())});
  }
  if (statistics_.size() > 0) {
    result.push_back({"statistics", to_host(stream_, std::as_const(statistics_).span())});
  }
  return result;
}

template <Backend B>
void DenseSide<B>::check(const DenseValues& values) const {
  const auto size = static_cast<std::size_t>(weights_.size());
  require(values.weights.size() == size && values.states.size() == optimizer_.names().size(),
          Kind::corrupt_data,
          "expected {} dense parameters and {} optimizer states: found {} and {}", size,
          optimizer_.names().size(), values.weights.size(), values.states.size());
  require(static_cast<std::int64_t>(values.statistics.size()) == statistics_.size(),
          Kind::corrupt_data, "expected {} running statistics: found {}", statistics_.size(),
          values.statistics.size());
  for (const std::vector<float>& state : values.states) {
    require(state.size() == size, Kind::corrupt_data,
            "expected {} numbers of optimizer state: found {}", size, state.size());
  }
}

template <Backend B>
void DenseSide<B>::restore(const DenseValues& values) {
  check(values);
  const Range chunk = sum_.chunk();
  std::vector<std::vector<float>> own;
  for (const std::vector<float>& state : values.states) {
    own.emplace_back(state.begin() + chunk.begin, state.begin() + chunk.end);
  }
  weights_ = to_device(stream_, Span<const float>(values.weights));
  statistics_ = to_device(stream_, Span<const float>(values.statistics));
  optimizer_.restore(stream_, own);
}

}  // namespace keyshard
