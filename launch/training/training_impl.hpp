// The one implementation of Training, over a Trainer.
#pragma once

#include "launch/training/evaluation.hpp"
#include "launch/training/step_trace.hpp"
#include "launch/training/training.hpp"
#include "launch/training/training_checkpoint.hpp"

namespace keyshard {

template <Backend B>
class TrainingOn : public Training {
 public:
  TrainingOn(const TrainerOptions& options, const DataSchema& schema, Communicator<B>& communicator,
             Stream<B>& stream)
      : trainer_(options, schema, communicator, stream) {}

  Trainer<B>& trainer() noexcept { return trainer_; }

  StepResult step(const Batch& batch, double learning_rate_scale, bool stop,
                  const NextBatch& next) override {
    return trainer_.step(batch, learning_rate_scale, stop, next);
  }

  std::int64_t steps() const noexcept override { return trainer_.steps(); }

  void restore_steps(std::int64_t steps) noexcept override { trainer_.restore_steps(steps); }

  StepClock& clock() noexcept override { return trainer_.clock(); }

  BadLines& bad_lines() noexcept override { return trainer_.bad_lines(); }

  Loss loss() const noexcept override { return trainer_.loss(); }

  Digest128 digest() override { return trainer_.digest(); }

  std::vector<TableNote> tables() override {
    std::vector<TableNote> notes;
    for (const auto& table : trainer_.tables().tables()) {
      notes.push_back({table->options(), table->clocks().front().step(), table->removed()});
    }
    return notes;
  }

  std::vector<std::pair<std::string, std::int64_t>> rows() override {
    std::vector<std::pair<std::string, std::int64_t>> named;
    std::vector<std::int64_t> counts;
    for (const auto& table : trainer_.tables().tables()) {
      if (table->stored() == nullptr) {
        named.emplace_back(table->options().name, 0);
        counts.push_back(table->size());
      }
    }
    if (!counts.empty()) {
      trainer_.communicator().all_reduce(Span<std::int64_t>(counts), Reduction::sum);
    }
    for (std::size_t t = 0; t < named.size(); ++t) {
      named[t].second = counts[t];
    }
    return named;
  }

  std::int64_t not_admitted() override { return trainer_.tables().not_admitted(); }

  std::optional<FastCounts> fast_counts() override { return trainer_.tables().fast_counts(); }

  SplitMetrics evaluate(
      DataReader& reader, const EvaluationPlan& plan,
      const std::function<void(const Batch&, const std::vector<float>&)>& each) override {
    return evaluate_split(trainer_, reader, plan, each);
  }

  std::int64_t load_rows_of(const Pretrained& from) override {
    return load_pretrained(from, trainer_.tables(), trainer_.stream());
  }

  CheckpointContent content(const TrainingPosition& position) override {
    return checkpoint_content(trainer_, position);
  }

  TrainingPosition load(const std::string& path) override {
    return load_checkpoint(path, trainer_);
  }

  void trace_into(const std::string& path) override {
    trace_ = std::make_unique<StepTrace<B>>(path, trainer_.communicator(), trainer_.stream());
    trainer_.trace_into(*trace_);
  }

  std::string trace_summary() const override { return trace_ ? trace_->summary() : ""; }

 private:
  Trainer<B> trainer_;
  std::unique_ptr<StepTrace<B>> trace_;
};

}  // namespace keyshard
