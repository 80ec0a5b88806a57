// The bodies of Trainer.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "collectives/vote.hpp"
#include "embedding/layers/devices.hpp"
#include "launch/training/look_ahead_impl.hpp"
#include "launch/training/table_digests.hpp"
#include "launch/training/trainer.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"

namespace keyshard {

inline ModelShape model_shape(const TrainerOptions& options, const DataSchema& schema) {
  ModelShape shape;
  shape.features = schema.features;
  const std::vector<std::string> groups = column_groups(options.model.type);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g] == "factor") {
      for (const FeatureOptions& feature : options.embedding.features) {
        shape.factor_dims.push_back(
            options.embedding.tables[static_cast<std::size_t>(feature.table)].groups[g].dim);
      }
    }
  }
  shape.dense_columns = static_cast<std::int64_t>(schema.dense.size());
  return shape;
}

/// A matrix of the device per column group, and the views of the model on them. Rows begin on 64
/// bytes.
template <Backend B>
struct GroupMatrices {
  std::vector<Buffer<float, B>> buffers;
  std::vector<MatrixView<float>> views;

  GroupMatrices(Stream<B>& stream, const Lookup<B>& lookup, std::int64_t samples) {
    for (std::int64_t g = 0; g < lookup.groups(); ++g) {
      const std::int64_t width = lookup.width(g), stride = (width + 15) / 16 * 16;
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

template <Backend B>
struct Trainer<B>::Pooled {
  GroupMatrices<B> rows;
  LookupTrace<B> trace;
};

/// Waits at its end for the batch that is prepared ahead, which is borrowed until then.
template <Backend B>
struct FinishAtEnd {
  LookAhead<B>& ahead;

  ~FinishAtEnd() { ahead.finish(); }
};

/// Keeps what was prepared ahead to its own end, where all work on it has been given to the stream
/// of the steps, also where a step fails.
template <Backend B>
struct TakenBatch {
  LookAhead<B>* ahead;  ///< null: prepared by the step itself
  std::shared_ptr<LookupState<B>> state;

  ~TakenBatch() {
    if (ahead != nullptr) {
      ahead->release();
    }
  }
};

template <Backend B>
std::int64_t carried_by(const LookupTrace<B>& trace, Carried number) {
  return trace.carried()[static_cast<std::size_t>(number)];
}

/// The options of the tables, with the owners that `devices` names.
template <Backend B>
std::vector<TableOptions> owned_tables(const EmbeddingOptions& options, int ranks) {
  std::vector<TableOptions> tables = options.tables;
  for (std::size_t t = 0; t < options.devices.size(); ++t) {
    tables[t].owners = device_ranks(tables[t].name, options.devices[t], ranks,
                                    std::same_as<B, Cpu> ? "cpu" : "gpu");
  }
  return tables;
}

template <Backend B>
Trainer<B>::Trainer(const TrainerOptions& options, const DataSchema& schema,
                    Communicator<B>& communicator, Stream<B>& stream)
    : communicator_(communicator),
      stream_(stream),
      seed_(options.seed),
      slices_(options.slices),
      overlaps_(options.overlap > 0),
      max_bad_lines_(options.max_bad_lines),
      groups_(column_groups(options.model.type)),
      tables_(communicator, options.seed),
      bad_lines_(options.max_bad_lines) {
  require(options.overlap == 0 || options.overlap == 1, Kind::invalid_argument,
          "expected an overlap of 0 or 1 batches: found {}", options.overlap);
  require(!options.embedding.features.empty(), Kind::invalid_argument,
          "expected at least one column of ids in the data: found none");
  for (const FeatureOptions& feature : options.embedding.features) {
    features_.push_back(feature.name);
  }
  std::vector<Table<B>*> borrowed;
  for (const TableOptions& table : owned_tables<B>(options.embedding, communicator.size())) {
    borrowed.push_back(&tables_.create(table));
  }
  lookup_ = std::make_unique<Lookup<B>>(communicator, borrowed, options.embedding.features);
  dense_ = std::make_unique<DenseSide<B>>(options.model, model_shape(options, schema), communicator,
                                          stream, slices_, seed_);
  activity_ = std::make_unique<ActivityTerms<B>>(communicator, *lookup_,
                                                 options.embedding.activities, slices_);
}

template <Backend B>
typename Trainer<B>::Pooled Trainer<B>::look_up(const Batch& batch, PreparedLookup<B> prepared,
                                                bool training, BadLines& bad_lines) {
  Pooled pooled{GroupMatrices<B>(stream_, *lookup_, batch.samples()), {}};
  pooled.trace = lookup_->forward(stream_, std::move(prepared), training, pooled.rows.views);
  bad_lines.add(host_of(communicator_), batch, carried_by(pooled.trace, Carried::bad_lines));
  return pooled;
}

template <Backend B>
void Trainer<B>::end_part(StepPart part) {
  clock_.stop(part);
  clock_.count(part, launches());
}

template <Backend B>
StepResult Trainer<B>::step(const Batch& batch, double learning_rate_scale, bool stop,
                            const NextBatch& next) {
  const InPhase phase(communicator_.progress(), Phase::computing);
  clock_.count(StepPart::read, launches());
  const bool ahead = ahead_ && ahead_->holds_batch();
  PreparedLookup<B> prepared =
      ahead ? ahead_->take(batch) : prepare_batch<B>(*lookup_, stream_, batch, slices_, stop);
  const TakenBatch<B> taken{ahead ? ahead_.get() : nullptr, prepared.state()};
  if (!overlaps_ || !next) {
    StepResult result = train_on(batch, std::move(prepared), learning_rate_scale);
    result.stop = ahead ? any_rank(stop) : result.stop;
    return result;
  }
  if (!ahead_) {
    ahead_ = std::make_unique<LookAhead<B>>(*lookup_, communicator_, stream_, slices_);
  }
  ahead_->begin(next, ahead && stop);
  const FinishAtEnd<B> finish{*ahead_};  // where the step fails, too
  StepResult result = train_on(batch, std::move(prepared), learning_rate_scale);
  finish_next();
  result.stop = ahead ? ahead_->stop_wished() : result.stop;
  return result;
}

/// Waits for what is prepared of the next batch; counts it as lookup.
template <Backend B>
void Trainer<B>::finish_next() {
  ahead_->finish();
  launches_ahead_ = ahead_->launches();
  end_part(StepPart::lookup);
}

template <Backend B>
bool Trainer<B>::any_rank(bool wish) {
  std::int64_t any = wish ? 1 : 0;
  communicator_.all_reduce(Span<std::int64_t>(&any, 1), Reduction::max);
  return any > 0;
}

template <Backend B>
StepResult Trainer<B>::train_on(const Batch& batch, PreparedLookup<B> prepared,
                                double learning_rate_scale) {
  Pooled pooled = look_up(batch, std::move(prepared), true, bad_lines_);
  const auto embeddings = pooled.rows.template of<const float>(groups_);
  end_part(StepPart::lookup);

  StepResult result;
  result.valid_samples = carried_by(pooled.trace, Carried::samples);
  result.stop = carried_by(pooled.trace, Carried::stop) > 0;
  result.traffic = pooled.trace.traffic();
  if (trace_ != nullptr) {
    trace_->batch(steps_ + 1, batch);
    trace_->pooled(steps_ + 1, batch, embeddings);
  }
  const GroupMatrices<B> gradients(stream_, *lookup_, batch.samples());
  result.loss = dense_->forward_backward(batch, {seed_, steps_, result.valid_samples}, embeddings,
                                         gradients.template of<float>(groups_));
  result.loss +=
      activity_->add(stream_, batch, result.valid_samples, pooled.rows.views, gradients.views);
  if (trace_ != nullptr) {
    trace_->gradients(steps_ + 1, batch, gradients.template of<const float>(groups_), *dense_,
                      result.loss);
  }
  if (!std::isfinite(result.loss)) {
    refuse_loss(result.loss, pooled);
  }
  end_part(StepPart::model);

  lookup_->backward(stream_, pooled.trace, gradients.read_only());
  end_part(StepPart::backward);
  update(learning_rate_scale, result.valid_samples);
  return result;
}

/// All ranks call this with the same loss. Names the first feature that is bad on any rank.
template <Backend B>
void Trainer<B>::refuse_loss(double loss, const Pooled& pooled) {
  const auto features = static_cast<std::int64_t>(features_.size());
  std::int64_t first = features;
  for (std::int64_t g = 0; g < lookup_->groups(); ++g) {
    const auto group = static_cast<std::size_t>(g);
    const MatrixView<float>& view = pooled.rows.views[group];
    const std::vector<float> values = to_host(stream_, pooled.rows.buffers[group]);
    for (std::int64_t f = 0; f < first; ++f) {
      const std::int64_t begin = lookup_->column(f, g);
      const std::int64_t end = f + 1 < features ? lookup_->column(f + 1, g) : view.cols;
      for (std::int64_t row = 0; row < view.rows; ++row) {
        const float* of_row = values.data() + row * view.stride;
        const bool finite =
            std::all_of(of_row + begin, of_row + end, [](float x) { return std::isfinite(x); });
        first = finite ? first : f;
      }
    }
  }
  communicator_.all_reduce(Span<std::int64_t>(&first, 1), Reduction::min);
  fail_together(
      Kind::non_finite, "step {}: expected a finite loss: found {}; {}", steps_ + 1,
      std::isnan(loss) ? std::abs(loss) : loss,  // a NaN has a sign, which says nothing
      first < features
          ? fmt::format("feature {} has embeddings that are not finite",
                        features_[static_cast<std::size_t>(first)])
          : "all embeddings are finite: the dense part or the data of its columns is not");
}

template <Backend B>
void Trainer<B>::update(double learning_rate_scale, std::int64_t valid_samples) {
  const auto scale = static_cast<float>(learning_rate_scale);
  try {
    tables_.apply(stream_, {scale, valid_samples});
    clock_.count(StepPart::update, launches());
    dense_->update(scale);
    clock_.count(StepPart::model, launches());
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

template <Backend B>
std::vector<float> Trainer<B>::predict(const Batch& batch, BadLines& bad_lines) {
  const Pooled pooled =
      look_up(batch, prepare_batch<B>(*lookup_, stream_, batch, slices_, false), false, bad_lines);
  return dense_->predict(batch, pooled.rows.template of<const float>(groups_));
}

template <Backend B>
NamedDigests Trainer<B>::digests_of_dense() {
  NamedDigests digests;
  for (const DensePart& part : dense_->parts()) {
    digests.emplace_back(part.name,
                         digest_of(part.values.data(), part.values.size() * sizeof(float)));
  }
  return digests;
}

template <Backend B>
Digest128 Trainer<B>::digest() {
  return state_digest(tables_, stream_, steps_, digests_of_dense());
}

}  // namespace keyshard
