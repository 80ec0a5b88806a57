#include "launch/training/dense_side.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/error.hpp"
#include "runtime/fold.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kBlock = 2048;  // numbers that are folded together; bits do not depend on it

template <class T>
MatrixView<T> rows_of(const MatrixView<T>& matrix, std::int64_t begin, std::int64_t end) {
  return matrix.data == nullptr
             ? MatrixView<T>{}
             : MatrixView<T>{matrix.row(begin), end - begin, matrix.cols, matrix.stride};
}

SliceInput slice_input(const Batch& batch, std::int64_t slice,
                       const PooledViews<const float>& pooled) {
  const std::int64_t begin = batch.slice_offsets[static_cast<std::size_t>(slice)];
  const std::int64_t end = batch.slice_offsets[static_cast<std::size_t>(slice) + 1];
  const auto first = static_cast<std::size_t>(begin), count = static_cast<std::size_t>(end - begin);
  SliceInput input;
  input.factors = rows_of(pooled.factors, begin, end);
  input.linear = rows_of(pooled.linear, begin, end);
  input.dense = {batch.dense.data() + begin * batch.dense_columns, end - begin, batch.dense_columns,
                 batch.dense_columns};
  input.labels = Span<const float>(batch.labels).subspan(first, count);
  input.weights = batch.weights.empty() ? Span<const float>()
                                        : Span<const float>(batch.weights).subspan(first, count);
  input.sample_numbers = Span<const std::int64_t>(batch.sample_numbers).subspan(first, count);
  return input;
}

}  // namespace

DenseSide::DenseSide(const ModelOptions& options, const ModelShape& shape,
                     Communicator<Cpu>& communicator, Stream<Cpu>& stream, std::int64_t slices,
                     std::uint64_t seed)
    : communicator_(communicator),
      stream_(stream),
      slices_(slices),
      run_(run_of(communicator.rank(), communicator.size(), slices)),
      model_(make_model(options, shape)),
      weights_(model_->parameters().initial_values(seed)),
      sum_(communicator, slices, model_->parameters().size()),
      statistics_sum_(communicator, slices, static_cast<std::int64_t>(model_->statistics().size())),
      optimizer_(options.optimizer, sum_.chunk().size()),
      slice_gradients_(stream, run_.size() * model_->parameters().size()),
      slice_statistics_(stream,
                        run_.size() * static_cast<std::int64_t>(model_->statistics().size())) {
  for (int thread = 0; thread < stream.threads().size(); ++thread) {
    workspaces_.emplace_back(stream);
  }
}

double DenseSide::forward_backward(const Batch& batch, const StepContext& context,
                                   const PooledViews<const float>& pooled,
                                   const PooledViews<float>& gradients) {
  const std::int64_t parameters = model_->parameters().size();
  const auto statistics = static_cast<std::int64_t>(model_->statistics().size());
  const auto slices = static_cast<std::size_t>(run_.size());
  std::vector<double> losses(slices);
  std::vector<float> logits(static_cast<std::size_t>(batch.samples()));
  present_.assign(slices, 0);
  has_statistics_.assign(slices, 0);
  stream_.threads().for_tasks(run_.size(), [&](std::int64_t slice, int thread) {
    const auto s = static_cast<std::size_t>(slice);
    const std::int64_t begin = batch.slice_offsets[s], end = batch.slice_offsets[s + 1];
    if (begin == end) {
      return;
    }
    SliceOutput output;
    output.logits = logits.data() + begin;
    output.factors = rows_of(gradients.factors, begin, end);
    output.linear = rows_of(gradients.linear, begin, end);
    output.parameters = slice_gradients_.data() + slice * parameters;
    output.batch_statistics = slice_statistics_.data() + slice * statistics;
    Workspace& workspace = workspaces_[static_cast<std::size_t>(thread)];
    const SliceResult result = model_->forward_backward(
        slice_input(batch, slice, pooled), weights_.data(), context, workspace, output);
    losses[s] = result.loss_sum;
    present_[s] = 1;
    has_statistics_[s] = result.has_statistics ? 1 : 0;
  });
  const double sum = folded_scalar(communicator_, slices_, losses,
                                   std::vector<bool>(present_.begin(), present_.end()));
  return sum / static_cast<double>(std::max<std::int64_t>(context.valid_samples, 1));
}

Span<const float> DenseSide::slice_gradients(std::int64_t i) const {
  const std::int64_t size = model_->parameters().size();
  return present_[static_cast<std::size_t>(i)] == 0
             ? Span<const float>()
             : Span<const float>(slice_gradients_.data() + i * size,
                                 static_cast<std::size_t>(size));
}

std::vector<NodePartial<float>> DenseSide::fold_nodes(Buffer<float, Cpu>& partials,
                                                      const std::vector<char>& present,
                                                      const float* slices, std::int64_t size) {
  const std::vector<Range> nodes = nodes_of(run_);
  partials = {stream_, static_cast<std::int64_t>(nodes.size()) * size};
  std::vector<NodePartial<float>> result;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const auto first = present.begin() + (nodes[n].begin - run_.begin);
    const bool any = std::any_of(first, first + nodes[n].size(), [](char p) { return p != 0; });
    result.push_back(
        {nodes[n].begin, any ? partials.data() + static_cast<std::int64_t>(n) * size : nullptr});
  }
  const std::int64_t blocks = (size + kBlock - 1) / kBlock;
  stream_.threads().for_tasks(
      blocks * static_cast<std::int64_t>(nodes.size()), [&](std::int64_t task, int) {
        const Range& node = nodes[static_cast<std::size_t>(task / blocks)];
        const std::int64_t begin = task % blocks * kBlock, width = std::min(kBlock, size - begin);
        std::vector<float> stack(static_cast<std::size_t>(Fold<float>::kDepth * width));
        Fold<float> fold(stack.data(), width);
        for (std::int64_t slice = node.begin; slice < node.end; ++slice) {
          if (present[static_cast<std::size_t>(slice - run_.begin)] != 0) {
            std::copy_n(slices + (slice - run_.begin) * size + begin, width,
                        fold.push(Solo{}, slice));
          }
        }
        if (const float* sum = fold.finish(Solo{})) {
          std::copy_n(sum, width, partials.data() + task / blocks * size + begin);
        }
      });
  return result;
}

void DenseSide::update_statistics() {
  const auto size = static_cast<std::int64_t>(model_->statistics().size());
  if (size == 0) {
    return;
  }
  Buffer<float, Cpu> partials;
  const auto nodes = fold_nodes(partials, has_statistics_, slice_statistics_.data(), size);
  std::vector<float> folded(static_cast<std::size_t>(size));
  statistics_sum_.reduce(stream_, nodes, folded.data() + statistics_sum_.chunk().begin);
  statistics_sum_.gather(stream_, folded.data());
  std::int64_t present = std::count(has_statistics_.begin(), has_statistics_.end(), 1);
  communicator_.all_reduce(Span<std::int64_t>(&present, 1), Reduction::sum);
  model_->update_statistics(folded, present);
}

void DenseSide::update(float learning_rate_scale) {
  Buffer<float, Cpu> partials;
  const auto nodes =
      fold_nodes(partials, present_, slice_gradients_.data(), model_->parameters().size());
  const Range chunk = sum_.chunk();
  std::vector<float> gradients(static_cast<std::size_t>(chunk.size()));
  sum_.reduce(stream_, nodes, gradients.data());
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    require(std::isfinite(gradients[i]), Kind::non_finite,
            "expected finite gradients of the dense parameters: found {} at {}", gradients[i],
            chunk.begin + static_cast<std::int64_t>(i));
  }
  model_->add_l2(weights_.data(), chunk, gradients.data());
  optimizer_.step(stream_, learning_rate_scale, gradients.data(), weights_.data() + chunk.begin);
  sum_.gather(stream_, weights_.data());
  update_statistics();
}

void DenseSide::predict(const Batch& batch, const PooledViews<const float>& pooled, float* logits) {
  stream_.threads().for_tasks(run_.size(), [&](std::int64_t slice, int thread) {
    const std::int64_t begin = batch.slice_offsets[static_cast<std::size_t>(slice)];
    if (begin < batch.slice_offsets[static_cast<std::size_t>(slice) + 1]) {
      model_->forward(slice_input(batch, slice, pooled), weights_.data(),
                      workspaces_[static_cast<std::size_t>(thread)], logits + begin);
    }
  });
}

std::vector<DensePart> DenseSide::parts() {
  std::vector<DensePart> result{{"weights", weights_}};
  for (std::size_t s = 0; s < optimizer_.states().size(); ++s) {
    std::vector<float> whole(weights_.size());
    const std::vector<float>& own = optimizer_.states()[s];
    std::copy(own.begin(), own.end(), whole.begin() + sum_.chunk().begin);
    sum_.gather(stream_, whole.data());
    result.push_back({"state/" + optimizer_.names()[s], std::move(whole)});
  }
  const Span<const float> statistics = std::as_const(*model_).statistics();
  if (!statistics.empty()) {
    result.push_back({"statistics", {statistics.begin(), statistics.end()}});
  }
  return result;
}

void DenseSide::restore(const std::vector<float>& weights,
                        const std::vector<std::vector<float>>& states) {
  require(weights.size() == weights_.size() && states.size() == optimizer_.states().size(),
          Kind::corrupt_data,
          "expected {} dense parameters and {} optimizer states: found {} and {}", weights_.size(),
          optimizer_.states().size(), weights.size(), states.size());
  weights_ = weights;
  const Range chunk = sum_.chunk();
  for (std::size_t s = 0; s < states.size(); ++s) {
    require(states[s].size() == weights_.size(), Kind::corrupt_data,
            "expected {} numbers of optimizer state: found {}", weights_.size(), states[s].size());
    optimizer_.states()[s].assign(states[s].begin() + chunk.begin, states[s].begin() + chunk.end);
  }
}

}  // namespace keyshard
