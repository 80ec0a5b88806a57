// The whole training step of W1 with a network 429-256-128-1, beside its nine products and the
// sparse floor; and with overlap beside without.
#include <fmt/format.h>

#include "launch/bench/distant_communicator.hpp"
#include "launch/bench/floors.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/model_step.hpp"
#include "launch/bench/sparse_step.hpp"
#include "launch/training/models/gemm.hpp"

namespace keyshard {
namespace {

/// The products of a step: forward, gradients of weights and of inputs of three layers, each thread
/// on its share of the samples.
class NineProducts {
 public:
  NineProducts(Stream<Cpu>& stream, std::int64_t samples, std::int64_t inputs)
      : stream_(stream), samples_(samples), widths_{inputs, kModelHidden[0], kModelHidden[1], 1} {
    for (std::size_t layer = 0; layer < widths_.size(); ++layer) {
      activations_.emplace_back(static_cast<std::size_t>(samples * widths_[layer]), 0.01f);
      gradients_.emplace_back(activations_.back());
    }
    for (std::size_t layer = 0; layer + 1 < widths_.size(); ++layer) {
      const auto size = static_cast<std::size_t>(widths_[layer] * widths_[layer + 1]);
      weights_.emplace_back(size, 0.01f);
      weight_gradients_.emplace_back(size * static_cast<std::size_t>(stream.threads().size()));
    }
  }

  void run() {
    stream_.threads().for_shares(samples_, [&](std::int64_t begin, std::int64_t end, int thread) {
      Serial queue;
      for (std::size_t layer = 0; layer + 1 < widths_.size(); ++layer) {
        multiply(queue, part(activations_, layer, begin, end), weight(layer),
                 part(activations_, layer + 1, begin, end));
      }
      for (std::size_t layer = widths_.size() - 1; layer-- > 0;) {
        MatrixView<float> sum = weight(layer);
        sum.data = weight_gradients_[layer].data() + thread * sum.rows * sum.cols;
        multiply_transposed_left(queue, part(activations_, layer, begin, end),
                                 part(gradients_, layer + 1, begin, end), sum);
        multiply_transposed_right(queue, part(gradients_, layer + 1, begin, end), weight(layer),
                                  part(gradients_, layer, begin, end));
      }
    });
  }

 private:
  MatrixView<float> part(std::vector<std::vector<float>>& all, std::size_t layer,
                         std::int64_t begin, std::int64_t end) const {
    return {all[layer].data() + begin * widths_[layer], end - begin, widths_[layer],
            widths_[layer]};
  }

  MatrixView<float> weight(std::size_t layer) {
    return {weights_[layer].data(), widths_[layer], widths_[layer + 1], widths_[layer + 1]};
  }

  Stream<Cpu>& stream_;
  std::int64_t samples_;
  std::vector<std::int64_t> widths_;
  std::vector<std::vector<float>> activations_, gradients_, weights_, weight_gradients_;
};

/// The sparse floor and the products, one after another.
class ModelFloor {
 public:
  ModelFloor(BenchContext& context, const IdBatches& own, FloorOptimizer optimizer)
      : own_(own),
        sparse_(context.stream().threads(), context.dim(), optimizer),
        products_(context.stream(), own.samples, own.features * context.dim() + own.dense_columns),
        gradients_(static_cast<std::size_t>(own.bags() * context.dim())),
        out_(gradients_.size()) {
    sparse_.insert(own.keys);
    fill_gradients(gradients_, 0);
  }

  void step(std::int64_t s) {
    sparse_.train(own_.keys_of(s), own_.offsets_of(s), gradients_.data(), out_.data());
    products_.run();
  }

 private:
  const IdBatches& own_;
  SparseFloor sparse_;
  NineProducts products_;
  std::vector<float> gradients_, out_;
};

double mean_of_last(const std::vector<double>& values, std::size_t most) {
  const std::size_t some = std::min(most, values.size());
  double mean = 0;
  for (std::size_t i = values.size() - some; i < values.size(); ++i) {
    mean += values[i] / static_cast<double>(some);
  }
  return mean;
}

/// The share of each part in the time of a step, without reading.
std::string shares_of(const StepClock& clock) {
  std::string shares;
  for (const StepPart part :
       {StepPart::lookup, StepPart::model, StepPart::backward, StepPart::update}) {
    shares +=
        fmt::format("{} {:.0f} % ", kStepParts[static_cast<std::size_t>(part)],
                    100 * clock.seconds(part) / (clock.total() - clock.seconds(StepPart::read)));
  }
  return shares;
}

void race_model(BenchContext& context, const std::string& name, const Optimizer& optimizer,
                FloorOptimizer floor_optimizer) {
  const IdBatches& own = context.own("W1");
  ModelStep model(context, context.communicator(), optimizer);
  ModelFloor floor(context, own, floor_optimizer);

  std::vector<double> losses;
  std::vector<BenchResult> results =
      context.race(fmt::format("W1 model {}", name), own.steps(),
                   {{context.own_name(), [&](std::int64_t s) { losses.push_back(model.train(s)); }},
                    {"products + floor", [&](std::int64_t s) { floor.step(s); }}});
  results[0].extra = {
      {"samples_per_s", 1e3 * static_cast<double>(model.batch_size()) / results[0].median()},
      {"loss_first", losses.front()},
      {"loss_last", mean_of_last(losses, 10)}};
  context.report().compare(results[0], results[1], shares_of(model.clock()));
}

/// The same step with the next batch on its way meanwhile, by turns with one that sends its ids
/// itself.
void race_overlap(BenchContext& context, const std::string& name, Communicator<Cpu>& communicator) {
  ModelStep none(context, communicator, bench_adagrad(), 0),
      one(context, communicator, bench_adagrad(), 1);
  const std::vector<BenchResult> results =
      context.race(fmt::format("W1 overlap{}", name), context.own("W1").steps(),
                   {{context.own_name("overlap 1"), [&](std::int64_t s) { one.train(s); }},
                    {context.own_name("overlap 0"), [&](std::int64_t s) { none.train(s); }}});
  context.report().compare(results[0], results[1], shares_of(one.clock()));
}

}  // namespace

void measure_overlap(BenchContext& context) {
  race_overlap(context, "", context.communicator());
  if (context.communicator().size() > 1) {
    DistantCommunicator distant(context.communicator(), std::chrono::microseconds(500));
    race_overlap(context, ", 0.5 ms away", distant);
  }
}

void measure_model(BenchContext& context) {
  race_model(context, "adagrad", bench_adagrad(), FloorOptimizer::adagrad);
  race_model(context, "rowwise", bench_rowwise_adagrad(), FloorOptimizer::rowwise);
}

}  // namespace keyshard
