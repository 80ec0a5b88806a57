// What every layer over a table is made of: a lookup in one table, its weights as Keras sees them,
// and what happens before and after the lookup of a call. Every call is collective, also for a rank
// without ids. Where one rank refuses its ids, the call fails on all ranks before any id is sent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "embedding/layers/layer_base.hpp"
#include "embedding/layers/layer_weights.hpp"
#include "embedding/layers/user_functions.hpp"

namespace keyshard {

template <Backend B>
struct Bags;

template <Backend B>
class TableLayer : public LayerBase {
 public:
  Table<B>& table() noexcept { return *table_; }

  const Table<B>& table() const noexcept { return *table_; }

  /// Checks that ids of this shape can be its input, and marks the layer as built; the first call
  /// does so, too. May be repeated. Throws Error{invalid_argument} as check_input.
  void build(const FreeShape& input_shape);

  bool built() const { return has_shapes(); }

  /// The shape of the output for ids of the shape `input`, free dimensions included; looks nothing
  /// up and builds nothing. Throws Error{invalid_argument} for a number of axes that the layer does
  /// not take.
  FreeShape compute_output_shape(const FreeShape& input) const { return output_shape(input); }

  /// The same for a shape without free dimensions.
  std::vector<std::int64_t> compute_output_shape(const std::vector<std::int64_t>& input) const {
    return fixed_shape(output_shape({input.begin(), input.end()}));
  }

  // Weights

  /// The table, as a weight that is trained where the layer is trainable; then, where rows have a
  /// status, the statuses, which are never trained.
  std::vector<WeightView> weights() const;
  std::vector<WeightView> trainable_weights() const;
  std::vector<WeightView> non_trainable_weights() const;

  /// The rows of this rank, sorted by shard and key, without optimizer state.
  LayerWeights get_weights() const;

  /// Makes the union of what the ranks give the rows of the table, with initial optimizer state;
  /// each key goes to its owner. Gradients that no step has used are dropped, the clocks of the
  /// optimizers go on. Throws Error{invalid_argument} on every rank, and changes nothing, where the
  /// layer is not built, or where a rank gives values of another dtype or number, or a key is
  /// given twice. Collective.
  void set_weights(Stream<B>& stream, const LayerWeights& weights);

  /// Numbers of all rows on all ranks: rows x D. Throws Error{invalid_argument} before the layer is
  /// built. Collective.
  std::int64_t count_params() const;

  // Losses of outputs

  using LayerBase::add_loss;

  /// Adds f(y), added over the outputs y of a training call of all ranks, times `weight`, to the
  /// losses; the backward of that output adds the gradient. `inputs` is accepted and has no effect.
  /// Throws Error{invalid_argument} for the output of an inference, and for a function that does
  /// not take the type of the outputs. Collective.
  void add_loss(Stream<B>& stream, LayerOutput<B>& output, const OutputFunction<B>& function,
                double weight = 1, const IdsView* inputs = nullptr);

  /// Null where there is none.
  const std::shared_ptr<const OutputFunction<B>>& activity_regularizer() const noexcept {
    return regularizer_;
  }

  /// From the next call on: a training call adds the value of the outputs / global batch to the
  /// losses, and backward its gradient. The same on all ranks.
  void set_activity_regularizer(const std::optional<ActivityOptions>& options);
  void set_activity_regularizer(const OutputFunction<B>& function);

 protected:
  TableLayer(TableSet<B>& tables, const LayerOptions& options, const InputSpec& spec,
             const AnyCombiner& combiner, const UserFunctions<B>& functions);
  TableLayer(TableLayer&&) noexcept = default;

  std::int64_t steps() const override { return table_->clocks().front().step(); }

  virtual FreeShape output_shape(const FreeShape& input) const = 0;

  /// The options as they are now, for get_config.
  SettingValue config() const;

  /// The ids of a call as keys; `widened` owns those that came with 32 bits. Throws
  /// Error{invalid_argument} where they have another dtype than key_dtype.
  IdsView keys_of(Stream<B>& stream, const IdsView& ids, Buffer<Key, B>& widened) const;

  /// Checks shape, offsets, mask and weights of the ids of a call; `weighable` says whether the
  /// layer takes weights.
  void check_call(Stream<B>& stream, const IdsView& ids, const BasicCallOptions<B>& call,
                  bool weighable) const;

  /// Checks and prepares the ids of a call; an exception that `prepare` throws ends the call on all
  /// ranks.
  void accept(Stream<B>& stream, const BasicCallOptions<B>& call,
              const std::function<void()>& prepare);

  /// Whether outputs and upstream gradients are doubles.
  bool is_double() const noexcept { return compute_dtype_ == ValueDtype::float64; }

  /// Looks the bags up: the values are [bags, D]. Throws Error{invalid_argument} on every rank
  /// where ranks differ in `training` or `trainable`.
  LayerOutput<B> look_up(Stream<B>& stream, const Bags<B>& bags, const BasicCallOptions<B>& call);

  /// Ends a call whose output has its values and shape: keeps its shapes, rounds the values to the
  /// compute dtype or puts integers close together, adds the regularizer.
  void finish(Stream<B>& stream, const IdsView& ids, LayerOutput<B>& output);

  /// Whether backward has work to do. Throws Error{invalid_argument} for the output of an
  /// inference, and where the upstream gradient is of doubles and the outputs are not, or the other
  /// way round.
  bool begins_backward(const LayerOutput<B>& output, bool doubles) const;

  /// The upstream gradient, rounded to the compute dtype, with the gradients of the losses of the
  /// output; `sum` owns it where it is not `upstream`.
  const float* add_terms(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream,
                         Buffer<float, B>& sum) const;

  /// Gives the gradients [rows x D] of the bags (floats_of) to the table.
  void send_back(Stream<B>& stream, const LayerOutput<B>& output, std::int64_t rows,
                 const float* upstream);

  AnyCombiner combiner_;

 private:
  /// The lookup of calls without weights, or with them.
  Lookup<B>& lookup_of(bool weighted);

  /// Throws Error{invalid_argument} where ranks differ in `trainable` or `training` of a call.
  void check_flags(const std::vector<std::int64_t>& carried) const;

  void add_term(Stream<B>& stream, LayerOutput<B>& output,
                std::shared_ptr<const OutputFunction<B>> function, double scale);

  Communicator<B>* device_communicator_;
  Table<B>* table_;
  Lookup<B> lookup_;
  std::unique_ptr<Lookup<B>> weighted_;  // the same for ids with weights; null where it has none
  std::shared_ptr<const OutputFunction<B>> regularizer_;
  ValueDtype compute_dtype_;  // of outputs and upstream gradients
};

/// Throws Error{invalid_argument} where a layer pools rows of integers, which are only looked up.
inline const LayerOptions& checked_pooling(const LayerOptions& options, const char* layer) {
  require(options.value_dtype.rfind("int", 0) != 0, Kind::invalid_argument,
          "layer {}: rows of integers are looked up one by one: expected an Embedding, or another "
          "value_dtype: found a {} and value_dtype {}",
          options.name, layer, options.value_dtype);
  return options;
}

/// The shape of ids as a spec has it: ragged lists are [lists, None], lists of lists [lists, None,
/// None].
inline FreeShape free_shape(const IdsView& ids) {
  if (ids.ragged()) {
    FreeShape shape(ids.outer.size() + 2, std::nullopt);
    shape.front() = ids.samples();
    return shape;
  }
  return {ids.shape.begin(), ids.shape.end()};
}

}  // namespace keyshard
