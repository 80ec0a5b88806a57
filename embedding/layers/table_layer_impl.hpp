// The bodies of TableLayer.
#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <vector>

#include "embedding/layers/devices.hpp"
#include "embedding/layers/id_bags.hpp"
#include "embedding/layers/key_dtype.hpp"
#include "embedding/layers/layer_config.hpp"
#include "embedding/layers/layer_table_impl.hpp"
#include "embedding/layers/regularizers.hpp"
#include "embedding/layers/table_layer.hpp"
#include "embedding/layers/table_weights_impl.hpp"
#include "runtime/copy.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"
#include "runtime/joined.hpp"

namespace keyshard {

/// What travels with the counts of a call: trainable, training, samples.
inline constexpr std::int64_t kLayerCarry = 3;

/// to[i] = from[i], rounded; they may be the same.
struct RoundTo {
  ValueDtype dtype;
  const float* from;
  float* to;

  KEYSHARD_HD void operator()(std::int64_t i) const { to[i] = rounded_value(dtype, from[i]); }
};

/// Rounds n numbers to 16-bit floats; does nothing for other types.
template <Backend B>
void round_to(Stream<B>& stream, ValueDtype dtype, std::int64_t n, const float* from, float* to) {
  if (is_short(dtype)) {
    for_each(stream, n, RoundTo{dtype, from, to});
  }
}

/// Puts row i of integers of 8 bits, which begins at a float, behind the rows before it.
struct PackRow8 {
  const std::int8_t* from;
  std::int64_t pitch;
  std::int64_t dim;
  std::int8_t* to;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    for (std::int64_t d = 0; d < dim; ++d) {
      to[i * dim + d] = from[i * pitch + d];
    }
  }
};

/// Puts rows of `dim` integers close together, as their shape has them.
template <Backend B>
void pack_rows(Stream<B>& stream, std::int64_t dim, LayerOutput<B>& output) {
  const std::int64_t floats = floats_of(output.dtype, dim), rows = output.values.size() / floats;
  const auto pitch = numbers_in<std::int8_t>(floats);
  if (output.dtype != ValueDtype::int8 || pitch == dim) {
    return;
  }
  Buffer<float, B> packed(stream, floats_of(output.dtype, rows * dim));
  for_each(stream, rows,
           PackRow8{numbers_at<std::int8_t>(std::as_const(output.values).data()), pitch, dim,
                    numbers_at<std::int8_t>(packed.data())});
  output.values = std::move(packed);
}

/// What a layer tells its lookup: doubles are delivered as they are, 16-bit floats are rounded by
/// the layer.
inline FeatureOptions layer_feature(const std::string& path, const AnyCombiner& combiner,
                                    ValueDtype compute, bool weighted) {
  FeatureOptions feature{path, 0, {combiner}, weighted};
  feature.compute_dtype = is_short(compute) ? ValueDtype::float32 : compute;
  return feature;
}

template <Backend B>
TableLayer<B>::TableLayer(TableSet<B>& tables, const LayerOptions& options, const InputSpec& spec,
                          const AnyCombiner& combiner, const UserFunctions<B>& functions)
    : LayerBase(host_of(tables.communicator()), tables.scopes(),
                with_rules(options, functions.rules), spec),
      combiner_(combiner),
      device_communicator_(&tables.communicator()),
      // What can fail for want of a function comes before the table is made.
      table_((checked_regularizer(options, functions), &layer_table(tables, options_))),
      lookup_(tables.communicator(), {table_},
              {layer_feature(path(), combiner, value_dtype_of(compute_dtype()), false)}),
      regularizer_(make_regularizer(options.activity_regularizer, functions)),
      compute_dtype_(value_dtype_of(compute_dtype())) {
  if (takes_weights(combiner) && !is_integer(compute_dtype_)) {
    weighted_ = std::make_unique<Lookup<B>>(
        tables.communicator(), std::vector<Table<B>*>{table_},
        std::vector<FeatureOptions>{layer_feature(path(), combiner, compute_dtype_, true)});
  }
}

template <Backend B>
void TableLayer<B>::build(const FreeShape& input_shape) {
  check_input(input_spec(), path(), {options_.key_dtype, input_shape});
  record(input_shape, output_shape(input_shape));
}

template <Backend B>
SettingValue TableLayer<B>::config() const {
  require(regularizer_ == nullptr || !regularizer_->name.empty(), Kind::invalid_argument,
          "layer {}: expected an activity_regularizer that is registered under a name, for "
          "get_config: found one without",
          path());
  return layer_config(options_);
}

template <Backend B>
void TableLayer<B>::set_activity_regularizer(const std::optional<ActivityOptions>& options) {
  require(!options || options->function.empty(), Kind::invalid_argument,
          "layer {}: expected the function of an activity_regularizer itself: found the name {}",
          path(), options ? options->function : "");
  const auto regularizer = make_regularizer<B>(options, {});
  if (regularizer != nullptr) {
    require_takes(path(), options_.value_dtype, *regularizer);
  }
  regularizer_ = regularizer;
  options_.activity_regularizer = options;
}

template <Backend B>
void TableLayer<B>::set_activity_regularizer(const OutputFunction<B>& function) {
  require_takes(path(), options_.value_dtype, function);
  regularizer_ = std::make_shared<const OutputFunction<B>>(function);
  options_.activity_regularizer = ActivityOptions{0, 0, function.name};
}

/// keys[i] = the 64-bit integer with the value of id i.
struct WidenIds {
  const std::int32_t* ids;
  bool is_signed;
  Key* keys;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    keys[i] = is_signed ? static_cast<Key>(ids[i]) : static_cast<std::uint32_t>(ids[i]);
  }
};

template <Backend B>
IdsView TableLayer<B>::keys_of(Stream<B>& stream, const IdsView& ids,
                               Buffer<Key, B>& widened) const {
  const std::string& expected = options_.key_dtype;
  const bool fits_both = ids.dtype.empty() && (expected == "int64" || expected == "uint64");
  const std::string found = fits_both ? expected : ids.dtype.empty() ? "int64" : ids.dtype;
  check_input({.dtype = expected}, path(), {found, free_shape(ids)});
  IdsView keys{ids.values, ids.shape, ids.offsets, ids.outer};
  if (is_narrow(expected)) {
    widened = {stream, ids.narrow.size()};
    for_each(stream, ids.narrow.size(),
             WidenIds{ids.narrow.data(), expected == "int32", widened.data()});
    keys.values = std::as_const(widened).span();
  }
  return keys;
}

template <Backend B>
void TableLayer<B>::check_call(Stream<B>& stream, const IdsView& ids,
                               const BasicCallOptions<B>& call, bool weighable) const {
  check_input(input_spec(), path(), {options_.key_dtype, free_shape(ids)});
  check_ids(stream, path(), ids, call.mask);
  require(call.weights.empty() || (weighable && takes_weights(combiner_)), Kind::invalid_argument,
          "layer {}: expected weights of ids in a SquashedEmbedding with combiner sum, mean or "
          "sqrtn alone: found {} weights{}",
          path(), call.weights.size(),
          weighable ? fmt::format(" and {}", name_of(combiner_)) : std::string());
  require(call.weights.empty() || call.weights.size() == ids.values.size(), Kind::invalid_argument,
          "layer {}: expected a weight for each of {} ids: found {}", path(), ids.values.size(),
          call.weights.size());
}

/// Throws unless the communicator of a call, if it has one, goes with inference on the ranks of the
/// layer.
template <Backend B>
void require_communicator(const std::string& layer, const BasicCallOptions<B>& call,
                          const Communicator<B>& of_layer) {
  const Communicator<B>& found = call.communicator == nullptr ? of_layer : *call.communicator;
  require(call.communicator == nullptr || !call.training, Kind::invalid_argument,
          "layer {}: expected a communicator of a call with training = false alone: found training "
          "= true",
          layer);
  require(found.rank() == of_layer.rank() && found.size() == of_layer.size(),
          Kind::invalid_argument,
          "layer {}: expected a communicator over the ranks of the layer, {} of {}: found {} of {}",
          layer, of_layer.rank(), of_layer.size(), found.rank(), found.size());
}

template <Backend B>
void TableLayer<B>::accept(Stream<B>& stream, const BasicCallOptions<B>& call,
                           const std::function<void()>& prepare) {
  try {
    require_communicator(path(), call, *device_communicator_);
    prepare();
  } catch (const std::exception&) {
    const auto turn = this->turn(call.communicator != nullptr);
    lookup_.refuse(stream, std::current_exception(), kLayerCarry, call.communicator);
  }
}

template <Backend B>
Lookup<B>& TableLayer<B>::lookup_of(bool weighted) {
  return weighted ? *weighted_ : lookup_;
}

template <Backend B>
void TableLayer<B>::check_flags(const std::vector<std::int64_t>& carried) const {
  for (const std::size_t flag : {0u, 1u}) {
    require(carried[flag] == 0 || carried[flag] == device_communicator_->size(),
            Kind::invalid_argument,
            "layer {}: expected the same value of {} on all ranks: found true on {} of {}", path(),
            flag == 0 ? "trainable" : "training", carried[flag], device_communicator_->size());
  }
}

/// The first bag of each of these samples.
template <Backend B>
std::vector<std::int64_t> bag_offsets(Stream<B>& stream, const Bags<B>& bags,
                                      const std::vector<std::int64_t>& samples) {
  std::vector<std::int64_t> offsets;
  for (const std::int64_t sample : samples) {
    offsets.push_back(bags.firsts == nullptr ? sample * bags.per_sample
                                             : value_at(stream, bags.firsts + sample));
  }
  return offsets;
}

template <Backend B>
LayerOutput<B> TableLayer<B>::look_up(Stream<B>& stream, const Bags<B>& bags,
                                      const BasicCallOptions<B>& call) {
  const std::int64_t rows = bags.size(), dim = floats_of(compute_dtype_, options_.embedding_size);
  LayerOutput<B> output;
  output.dtype = is_short(compute_dtype_) ? ValueDtype::float32 : compute_dtype_;
  output.training = call.training;
  output.trainable = options_.trainable;
  output.weighted = !call.weights.empty();
  output.slices = slices_of(call.slices, bags.samples);
  const std::vector<std::int64_t> offsets = bag_offsets(stream, bags, output.slices.offsets);
  for (const std::int64_t offset : offsets) {
    output.slice_starts.push_back(offset * options_.embedding_size);
  }
  output.values = {stream, rows * dim};
  const MatrixView<float> pooled{output.values.data(), rows, dim, dim};
  const LookupInput input{.bags = {bags.values, bags.offsets},
                          .samples = rows,
                          .slices = output.slices.slices,
                          .run = output.slices.run,
                          .slice_offsets = offsets,
                          .weights = bags.weights};
  const std::int64_t carry[kLayerCarry] = {output.trainable ? 1 : 0, call.training ? 1 : 0,
                                           bags.samples};
  {
    const auto turn = this->turn(call.communicator != nullptr);
    output.trace = lookup_of(output.weighted)
                       .forward(stream, input, call.training, carry,
                                Span<const MatrixView<float>>(&pooled, 1), call.communicator);
  }
  check_flags(output.trace.carried());
  output.batch = output.trace.carried()[2];
  if (!call.training) {
    output.trace = {};
  }
  return output;
}

template <Backend B>
void TableLayer<B>::finish(Stream<B>& stream, const IdsView& ids, LayerOutput<B>& output) {
  const FreeShape input = free_shape(ids);
  record(input, {output.shape.begin(), output.shape.end()});
  round_to(stream, compute_dtype_, output.values.size(), output.values.data(),
           output.values.data());
  pack_rows(stream, options_.embedding_size, output);
  output.batch = input.size() < 2 ? 1 : output.batch;
  if (output.training && regularizer_ != nullptr) {
    const double batch = static_cast<double>(std::max<std::int64_t>(output.batch, 1));
    add_term(stream, output, regularizer_, 1 / batch);
  }
}

template <Backend B>
void TableLayer<B>::add_loss(Stream<B>& stream, LayerOutput<B>& output,
                             const OutputFunction<B>& function, double weight,
                             const IdsView* /*inputs*/) {
  require(output.training, Kind::invalid_argument,
          "layer {}: expected the output of a call with training = true, and a function of it: "
          "found training = false",
          path());
  require_takes(path(), options_.value_dtype, function);
  add_term(stream, output, std::make_shared<const OutputFunction<B>>(function), weight);
}

template <Backend B>
void TableLayer<B>::add_term(Stream<B>& stream, LayerOutput<B>& output,
                             std::shared_ptr<const OutputFunction<B>> function, double scale) {
  const Buffer<std::int64_t, B> starts = to_device(stream, output.slice_starts);
  Buffer<double, B> sums(stream, starts.size() - 1);
  if (is_double()) {
    function->add_double_values(stream, numbers_at<double>(std::as_const(output.values).data()),
                                starts.span(), sums.data());
  } else {
    function->add_values(stream, output.values.data(), starts.span(), sums.data());
  }
  add_folded_loss(to_host(stream, sums), output.slices, scale);
  output.terms.push_back({std::move(function), scale});
}

template <Backend B>
bool TableLayer<B>::begins_backward(const LayerOutput<B>& output, bool doubles) const {
  require(doubles == is_double(), Kind::invalid_argument,
          "layer {}: expected the gradient of its outputs of {} as {}: found {}", path(),
          compute_dtype(), is_double() ? "doubles" : "floats", doubles ? "doubles" : "floats");
  require(output.training, Kind::invalid_argument,
          "layer {}: expected the output of a call with training = true: found one of inference",
          path());
  return output.trainable;
}

template <Backend B>
const float* TableLayer<B>::add_terms(Stream<B>& stream, const LayerOutput<B>& output,
                                      const float* upstream, Buffer<float, B>& sum) const {
  if (is_short(compute_dtype_)) {
    sum = {stream, output.values.size()};
    round_to(stream, compute_dtype_, sum.size(), upstream, sum.data());
    upstream = sum.data();
  }
  for (const OutputTerm<B>& term : output.terms) {
    if (sum.empty()) {
      sum = {stream, output.values.size()};
    }
    if (is_double()) {
      term.function->add_double_gradient(stream, numbers_at<double>(output.values.data()),
                                         numbers_in<double>(output.values.size()), term.scale,
                                         numbers_at<double>(upstream),
                                         numbers_at<double>(sum.data()));
    } else {
      term.function->add_gradient(stream, output.values.data(), output.values.size(), term.scale,
                                  upstream, sum.data());
    }
    upstream = sum.data();
  }
  return upstream;
}

template <Backend B>
void TableLayer<B>::send_back(Stream<B>& stream, const LayerOutput<B>& output, std::int64_t rows,
                              const float* upstream) {
  const std::int64_t dim = floats_of(compute_dtype_, options_.embedding_size);
  const MatrixView<const float> gradient{upstream, rows, dim, dim};
  lookup_of(output.weighted)
      .backward(stream, output.trace, Span<const MatrixView<const float>>(&gradient, 1));
}

}  // namespace keyshard
