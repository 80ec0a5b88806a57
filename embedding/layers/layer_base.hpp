// What a layer is to a Keras user, apart from its rows: options, name, dtypes, input spec, losses
// and metrics. Members have the names of Keras, as far as C++ allows. The base of every layer.
//
// Members that are called collective are called by all ranks, and fail on all of them alike.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "embedding/layers/dtype_policy.hpp"
#include "embedding/layers/input_spec.hpp"
#include "embedding/layers/layer.hpp"
#include "embedding/layers/layer_call.hpp"
#include "embedding/layers/layer_losses.hpp"
#include "embedding/layers/layer_metrics.hpp"

namespace keyshard {

class LayerBase {
 public:
  LayerBase(const LayerBase&) = delete;
  LayerBase& operator=(const LayerBase&) = delete;
  virtual ~LayerBase() = default;

  const std::string& name() const noexcept { return options_.name; }

  /// The name after the scopes in which the layer was made, as "tower/NAME": what errors say, and
  /// the name of the table that the layer makes.
  const std::string& path() const noexcept { return path_; }

  bool trainable() const noexcept { return options_.trainable; }

  /// Changes it between steps, to the same value on all ranks: the next call throws
  /// Error{invalid_argument} on every rank where they differ. Where several layers read one table,
  /// each has its own flag. Throws Error{invalid_argument} for true where rows are integers.
  void set_trainable(bool trainable);

  /// Never: every layer runs the same code at every call.
  static constexpr bool dynamic() noexcept { return false; }

  static constexpr bool supports_masking() noexcept { return true; }

  const DtypePolicy& dtype_policy() const noexcept { return policy_; }

  const std::string& dtype() const noexcept { return policy_.variable_dtype; }

  const std::string& variable_dtype() const noexcept { return policy_.variable_dtype; }

  const std::string& compute_dtype() const noexcept { return policy_.compute_dtype; }

  /// What `build` and every call check. By default the key dtype and the number of axes that the
  /// layer takes.
  const InputSpec& input_spec() const noexcept { return input_spec_; }

  void set_input_spec(const InputSpec& spec) { input_spec_ = spec; }

  /// Dtype and shape of the one input or output, the batch free; never its numbers. Throws
  /// Error{invalid_argument} where the layer has not been built or called yet, and where calls had
  /// different numbers of axes.
  TensorSpec input() const;
  TensorSpec output() const;

  // Losses

  /// Adds a loss of this step, without a gradient. `inputs` is accepted and has no effect.
  void add_loss(double loss, const IdsView* inputs = nullptr);
  void add_loss(const std::vector<double>& losses, const IdsView* inputs = nullptr);
  /// Adds a loss that is computed whenever `losses` is read.
  void add_loss(std::function<double()> loss, const IdsView* inputs = nullptr);

  /// In order: the losses of all calls since the last optimizer step, then the callables. Throws
  /// Error{invalid_argument} on every rank where ranks have different losses. Collective.
  std::vector<double> losses();

  // Metrics

  /// Updates the running mean of that name with a value of this rank: a slice with the number of
  /// the rank. Throws Error{invalid_argument} for no name, and for another aggregation than mean.
  void add_metric(double value, const std::optional<std::string>& name = std::nullopt,
                  const std::string& aggregation = "mean");
  /// The same with values [samples x k] of the samples of this rank.
  void add_metric(const std::vector<double>& values, const SliceLayout& slices,
                  const std::optional<std::string>& name = std::nullopt,
                  const std::string& aggregation = "mean");

  /// In the order of first use.
  std::vector<LayerMetric*> metrics() const { return metrics_.all(); }

  /// The mean of a metric over all ranks. Collective.
  double result(const LayerMetric& metric) const { return metric.result(*communicator_); }

  // Names

  /// "NAME/", after the scopes in which the layer was made.
  const std::string& name_scope() const noexcept { return scope_; }

  /// Runs f() inside the scope of this layer and returns its result: layers that `f` makes on the
  /// same TableSet lie in that scope, which stands before the names of their tables and in their
  /// errors, and an Error that `f` throws names the scope.
  template <class F>
  decltype(auto) with_name_scope(const F& f) {
    const NameScopes::Entry entry(*scopes_, scope_);
    try {
      return f();
    } catch (const Error& error) {
      throw scopes_->named(error);
    }
  }

  /// The layers inside this one: none. A subclass that has some lists them.
  virtual std::vector<LayerBase*> submodules() { return {}; }

 protected:
  /// Throws Error{invalid_argument} on every rank where another layer of the communicator has the
  /// path on one of them. Collective.
  LayerBase(Communicator<Cpu>& communicator, std::shared_ptr<NameScopes> scopes,
            const LayerOptions& options, const InputSpec& spec);
  LayerBase(LayerBase&&) noexcept = default;

  /// Optimizer steps of the table so far.
  virtual std::int64_t steps() const = 0;

  /// Held while a call uses the communicator of the layer, which does one thing at a time: threads
  /// may make inferences at once (CallOptions::training). A call with a communicator of its own
  /// waits for nobody.
  std::unique_lock<std::mutex> turn(bool own) const {
    return own ? std::unique_lock<std::mutex>() : std::unique_lock(calls_->exchange);
  }

  /// Whether a call, or build, has recorded its shapes. Calls may run concurrently.
  bool has_shapes() const;

  /// Keeps the shapes of a call, for `input` and `output`. Calls may run concurrently.
  void record(const FreeShape& input, const FreeShape& output) const;

  /// The slices of a call: those given, or one slice with the samples of this rank, numbered by the
  /// rank.
  SliceLayout slices_of(const SliceLayout* given, std::int64_t samples) const;

  /// Adds the sum of terms [slices of this rank] over all slices, times `factor`, to the losses.
  /// Collective.
  void add_folded_loss(const std::vector<double>& terms, const SliceLayout& slices, double factor);

  LayerOptions options_;

 private:
  struct Calls {
    std::mutex mutex;
    std::mutex exchange;
    std::optional<TensorSpec> input;
    std::optional<TensorSpec> output;
    bool differ = false;  ///< in their number of axes
  };

  TensorSpec recorded(std::optional<TensorSpec> Calls::*which, const char* what) const;

  Communicator<Cpu>* communicator_;
  std::shared_ptr<NameScopes> scopes_;
  std::string path_;
  std::string scope_;
  std::shared_ptr<const void> held_name_;  // the path is taken while the layer lives
  DtypePolicy policy_;
  InputSpec input_spec_;
  LayerLosses losses_;
  LayerMetrics metrics_;
  std::unique_ptr<Calls> calls_;
};

}  // namespace keyshard
