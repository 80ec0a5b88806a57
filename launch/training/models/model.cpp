#include "launch/training/models/model.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/error.hpp"

namespace keyshard {

std::int64_t ModelShape::factor_columns() const {
  return std::accumulate(factor_dims.begin(), factor_dims.end(), std::int64_t{0});
}

void Model::update_statistics(Span<const float> folded, std::int64_t present) {
  require(folded.size() == static_cast<std::int64_t>(layout_.statistics.size()),
          Kind::invalid_argument, "expected {} folded batch statistics: found {}",
          layout_.statistics.size(), folded.size());
  if (present == 0) {
    return;
  }
  const float keep = static_cast<float>(options_.batch_norm_momentum);
  const float take = static_cast<float>(1.0 - options_.batch_norm_momentum);
  for (std::int64_t i = 0; i < folded.size(); ++i) {
    float& running = layout_.statistics[static_cast<std::size_t>(i)];
    running = keep * running + take * (folded[i] / static_cast<float>(present));
  }
}

void Model::add_l2(const float* parameters, Range chunk, float* gradient) const {
  for (const Parameter& parameter : layout_.parameters.all()) {
    const std::int64_t begin = std::max(chunk.begin, parameter.offset);
    const std::int64_t end = std::min(chunk.end, parameter.offset + parameter.size());
    for (std::int64_t i = begin; i < end && parameter.shrinks(); ++i) {
      gradient[i - chunk.begin] += options_.l2 * parameters[i];
    }
  }
}

void Model::forward(const SliceInput& input, const float* parameters, Workspace& workspace,
                    float* logits) const {
  workspace.reset();
  Pass pass{layout_.parameters, workspace};
  pass.parameters = parameters;
  pass.statistics = layout_.statistics.data();
  SliceOutput output;
  output.logits = logits;
  run(pass, input, output);
}

SliceResult Model::forward_backward(const SliceInput& input, const float* parameters,
                                    const StepContext& context, Workspace& workspace,
                                    const SliceOutput& output) const {
  const std::int64_t samples = static_cast<std::int64_t>(input.labels.size());
  SliceResult result;
  result.has_statistics = !layout_.statistics.empty() && samples >= BatchNorm::kLeastSamples;

  workspace.reset();
  Pass pass{layout_.parameters, workspace};
  pass.parameters = parameters;
  pass.statistics = layout_.statistics.data();
  pass.gradients = output.parameters;
  pass.slice_statistics = result.has_statistics ? output.batch_statistics : nullptr;
  pass.context = context;
  pass.sample_numbers = input.sample_numbers;
  run(pass, input, output);

  const Span<const float> logits{output.logits, input.labels.size()};
  result.loss_sum = loss_sum(options_.loss, logits, input.labels, input.weights);
  return result;
}

float* Model::slopes(const Pass& pass, const SliceInput& input, const SliceOutput& output) const {
  float* result = pass.workspace.floats(static_cast<std::int64_t>(input.labels.size()));
  loss_gradients(options_.loss, {output.logits, input.labels.size()}, input.labels, input.weights,
                 pass.context.valid_samples, result);
  return result;
}

MlpShape Model::network(std::string suffix, std::int64_t inputs,
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
