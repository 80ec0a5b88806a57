#include "launch/training/trainer.hpp"

#include <algorithm>
#include <cmath>

#include "launch/training/table_digests.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

ModelShape model_shape(const JobConfig& config, const DataSchema& schema) {
  ModelShape shape;
  shape.features = schema.features;
  const std::vector<std::string> groups = column_groups(config.model.type);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g] == "factor") {
      for (const FeatureOptions& feature : config.embedding.features) {
        shape.factor_dims.push_back(
            config.embedding.tables[static_cast<std::size_t>(feature.table)].groups[g].dim);
      }
    }
  }
  shape.dense_columns = static_cast<std::int64_t>(schema.dense.size());
  return shape;
}

/// Rows begin on 64 bytes.
std::int64_t padded(std::int64_t columns) { return (columns + 15) / 16 * 16; }

/// A matrix per column group, and the views of the model on them.
struct GroupMatrices {
  std::vector<Buffer<float, Cpu>> buffers;
  std::vector<MatrixView<float>> views;

  GroupMatrices(Stream<Cpu>& stream, const Lookup<Cpu>& lookup, std::int64_t samples) {
    for (std::int64_t g = 0; g < lookup.groups(); ++g) {
      const std::int64_t width = lookup.width(g), stride = padded(width);
      buffers.emplace_back(stream, samples * stride);
      views.push_back({buffers.back().data(), samples, width, stride});
    }
  }

  template <class T>
  PooledViews<T> of(const std::vector<std::string>& groups) const {
    PooledViews<T> result;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      (groups[g] == "factor" ? result.factors : result.linear) = views[g];
    }
    return result;
  }

  std::vector<MatrixView<const float>> read_only() const { return {views.begin(), views.end()}; }
};

}  // namespace

struct Trainer::Pooled {
  GroupMatrices rows;
  LookupTrace<Cpu> trace;
};

Trainer::Trainer(const JobConfig& config, const DataSchema& schema, Communicator<Cpu>& communicator,
                 Stream<Cpu>& stream)
    : communicator_(communicator),
      stream_(stream),
      seed_(config.job.seed),
      slices_(config.job.slices),
      groups_(column_groups(config.model.type)),
      tables_(communicator),
      bad_lines_(config.data.max_bad_lines) {
  require(!config.embedding.features.empty(), Kind::invalid_argument,
          "expected at least one column of ids in the data: found none");
  for (const FeatureOptions& feature : config.embedding.features) {
    features_.push_back(feature.name);
  }
  std::vector<Table<Cpu>*> borrowed;
  for (const TableOptions& options : config.embedding.tables) {
    borrowed.push_back(&tables_.create(options));
  }
  lookup_ = std::make_unique<Lookup<Cpu>>(communicator, borrowed, config.embedding.features);
  dense_ = std::make_unique<DenseSide<Cpu>>(config.model, model_shape(config, schema), communicator,
                                            stream, slices_, seed_);
}

Trainer::Pooled Trainer::look_up(const Batch& batch, bool training, bool stop,
                                 BadLines& bad_lines) {
  const std::int64_t carry[] = {batch.samples(), stop ? 1 : 0, batch.bad_lines};
  Pooled pooled{GroupMatrices(stream_, *lookup_, batch.samples()), {}};
  const LookupInput input{batch.bags(), batch.samples(), slices_, batch.slices,
                          batch.slice_offsets};
  pooled.trace = lookup_->forward(stream_, input, training, carry, pooled.rows.views);
  bad_lines.add(communicator_, batch, pooled.trace.carried()[2]);
  return pooled;
}

StepResult Trainer::step(const Batch& batch, double learning_rate_scale, bool stop) {
  const InPhase phase(communicator_.progress(), Phase::computing);
  Pooled pooled = look_up(batch, true, stop, bad_lines_);
  const auto embeddings = pooled.rows.of<const float>(groups_);
  clock_.stop(StepPart::lookup);

  StepResult result;
  result.valid_samples = pooled.trace.carried()[0];
  result.stop = pooled.trace.carried()[1] > 0;
  result.traffic = pooled.trace.traffic();
  if (trace_ != nullptr) {
    trace_->batch(steps_ + 1, batch);
    trace_->pooled(steps_ + 1, batch, embeddings);
  }
  const GroupMatrices gradients(stream_, *lookup_, batch.samples());
  result.loss = dense_->forward_backward(batch, {seed_, steps_, result.valid_samples}, embeddings,
                                         gradients.of<float>(groups_));
  if (trace_ != nullptr) {
    trace_->gradients(steps_ + 1, batch, gradients.of<const float>(groups_), *dense_, result.loss);
  }
  if (!std::isfinite(result.loss)) {
    refuse_loss(result.loss, pooled.rows.views);
  }
  clock_.stop(StepPart::model);

  lookup_->backward(stream_, pooled.trace, gradients.read_only());
  clock_.stop(StepPart::backward);
  update(learning_rate_scale, result.valid_samples);
  return result;
}

/// All ranks are here with the same loss; the first feature of any of them is named.
void Trainer::refuse_loss(double loss, Span<const MatrixView<float>> pooled) {
  const auto features = static_cast<std::int64_t>(features_.size());
  std::int64_t first = features;
  for (std::int64_t f = features - 1; f >= 0; --f) {
    for (std::int64_t g = 0; g < lookup_->groups(); ++g) {
      const MatrixView<float>& view = pooled[static_cast<std::size_t>(g)];
      const std::int64_t begin = lookup_->column(f, g);
      const std::int64_t end = f + 1 < features ? lookup_->column(f + 1, g) : view.cols;
      for (std::int64_t row = 0; row < view.rows; ++row) {
        const bool finite = std::all_of(view.row(row) + begin, view.row(row) + end,
                                        [](float x) { return std::isfinite(x); });
        first = finite ? first : f;
      }
    }
  }
  communicator_.all_reduce(Span<std::int64_t>(&first, 1), Reduction::min);
  fail(Kind::non_finite, "step {}: expected a finite loss: found {}; {}", steps_ + 1, loss,
       first < features
           ? fmt::format("feature {} has embeddings that are not finite",
                         features_[static_cast<std::size_t>(first)])
           : "all embeddings are finite: the dense part or the data of its columns is not");
}

void Trainer::update(double learning_rate_scale, std::int64_t valid_samples) {
  const auto scale = static_cast<float>(learning_rate_scale);
  try {
    tables_.apply(stream_, {scale, valid_samples});
    dense_->update(scale);
  } catch (const Error& error) {
    require(error.kind() != Kind::non_finite, Kind::non_finite, "step {}: {}", steps_ + 1,
            error.text());
    throw;
  }
  ++steps_;
  if (trace_ != nullptr) {
    trace_->update(steps_, table_digests(tables_, stream_), digests_of_dense());
  }
  clock_.stop(StepPart::update);
}

std::vector<float> Trainer::predict(const Batch& batch, BadLines& bad_lines) {
  const Pooled pooled = look_up(batch, false, false, bad_lines);
  return dense_->predict(batch, pooled.rows.of<const float>(groups_));
}

NamedDigests Trainer::digests_of_dense() {
  NamedDigests digests;
  for (const DensePart& part : dense_->parts()) {
    digests.emplace_back(part.name,
                         digest_of(part.values.data(), part.values.size() * sizeof(float)));
  }
  return digests;
}

Digest128 Trainer::digest() {
  return state_digest(table_digests(tables_, stream_), digests_of_dense(), steps_);
}

}  // namespace keyshard
