// The bodies of Model, for any device.
#pragma once

#include <algorithm>
#include <utility>

#include "launch/training/models/model.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// running = keep running + take folded / present.
struct MoveStatistics {
  float keep;
  float take;
  float present;
  const float* folded;
  float* running;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    running[i] = keep * running[i] + take * (folded[i] / present);
  }
};

/// Adds l2 W to the gradient of one block: block i % blocks of range i / blocks of the flat vector.
/// gradient[0] belongs to number `begin` of that vector.
struct AddL2 {
  static constexpr std::int64_t kBlock = 2048;

  const Range* ranges;
  std::int64_t blocks;  ///< of the longest range
  float l2;
  std::int64_t begin;
  const float* parameters;
  float* gradient;

  std::int64_t work() const { return kBlock / 4; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const Range range = ranges[i / blocks];
    const std::int64_t from = range.begin + i % blocks * kBlock;
    const std::int64_t to = from + kBlock < range.end ? from + kBlock : range.end;
    const float factor = l2;
    const float* KEYSHARD_RESTRICT w = parameters;
    float* KEYSHARD_RESTRICT g = gradient - begin;
    for (std::int64_t at = from + team.thread_rank(); at < to; at += team.num_threads()) {
      g[at] += factor * w[at];
    }
  }
};

template <Backend B>
void Model<B>::update_statistics(Stream<B>& stream, const float* folded, std::int64_t present,
                                 float* statistics) const {
  if (present == 0) {
    return;
  }
  const float keep = static_cast<float>(options_.batch_norm_momentum);
  const float take = static_cast<float>(1.0 - options_.batch_norm_momentum);
  for_each(stream, statistics_size(),
           MoveStatistics{keep, take, static_cast<float>(present), folded, statistics});
}

template <Backend B>
void Model<B>::add_l2(Stream<B>& stream, const float* parameters, Range chunk,
                      float* gradient) const {
  std::vector<Range> ranges;
  std::int64_t longest = 0;
  for (const Parameter& parameter : layout_.parameters.all()) {
    const Range part{std::max(chunk.begin, parameter.offset),
                     std::min(chunk.end, parameter.offset + parameter.size())};
    if (parameter.shrinks() && part.begin < part.end) {
      ranges.push_back(part);
      longest = std::max(longest, part.size());
    }
  }
  const Buffer<Range, B> device_ranges = to_device(stream, Span<const Range>(ranges));
  const std::int64_t blocks = (longest + AddL2::kBlock - 1) / AddL2::kBlock;
  for_each_row(stream, static_cast<std::int64_t>(ranges.size()) * blocks,
               AddL2{device_ranges.data(), blocks, options_.l2, chunk.begin, parameters, gradient});
}

template <Backend B>
void Model<B>::forward(TaskQueue<B>& queue, Workspace<B>& workspace, const ModelNumbers& numbers,
                       const GroupInput& input, float* logits) const {
  workspace.reset();
  const Pass<B> pass{.layout = layout_.parameters,
                     .queue = queue,
                     .workspace = workspace,
                     .group = input.group,
                     .numbers = numbers,
                     .statistics_size = statistics_size()};
  GroupOutput output;
  output.logits = logits;
  run(pass, input, output);
}

template <Backend B>
void Model<B>::forward_backward(TaskQueue<B>& queue, Workspace<B>& workspace,
                                const ModelNumbers& numbers, const StepContext& context,
                                const GroupInput& input, const GroupOutput& output) const {
  workspace.reset();
  const Pass<B> pass{.layout = layout_.parameters,
                     .queue = queue,
                     .workspace = workspace,
                     .group = input.group,
                     .numbers = numbers,
                     .gradients = output.parameters,
                     .slice_statistics = output.batch_statistics,
                     .statistics_size = statistics_size(),
                     .context = context,
                     .sample_numbers = input.sample_numbers};
  run(pass, input, output);
  for_each(queue, input.group.slices(),
           SumLosses{loss_samples(input, output.logits), input.group.runs, output.losses});
}

template <Backend B>
float* Model<B>::slopes(const Pass<B>& pass, const GroupInput& input,
                        const GroupOutput& output) const {
  const std::int64_t n = input.group.samples();
  float* result = pass.workspace.floats(n);
  for_each(pass.queue, n,
           LossGradients{loss_samples(input, output.logits), pass.context.valid_samples, result});
  return result;
}

template <Backend B>
MlpShape Model<B>::network(std::string suffix, std::int64_t inputs,
                           std::vector<std::int64_t> hidden) const {
  MlpShape shape;
  shape.suffix = std::move(suffix);
  shape.inputs = inputs;
  shape.hidden = std::move(hidden);
  shape.batch_norm = options_.batch_norm;
  shape.dropout = options_.dropout;
  return shape;
}

}  // namespace keyshard
