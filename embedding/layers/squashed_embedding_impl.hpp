// The bodies of SquashedEmbedding.
#pragma once

#include "embedding/layers/embedding_impl.hpp"
#include "embedding/layers/nested_lists.hpp"
#include "embedding/layers/reduce_stage.hpp"
#include "embedding/layers/squashed_embedding.hpp"

namespace keyshard {

template <Backend B>
SquashedEmbedding<B>::SquashedEmbedding(TableSet<B>& tables, const LayerOptions& options,
                                        const UserFunctions<B>& functions)
    : TableLayer<B>(tables, checked_pooling(options, "SquashedEmbedding"),
                    InputSpec{.dtype = options.key_dtype, .min_ndim = 1},
                    layer_combiner(with_rules(options, functions.rules)), functions) {}

template <Backend B>
FreeShape SquashedEmbedding<B>::output_shape(const FreeShape& input) const {
  require(!input.empty(), Kind::invalid_argument,
          "layer {}: expected ids of rank 1 or more: found a scalar (shape [])", this->path());
  return input.size() == 1 ? FreeShape{options_.embedding_size}
                           : FreeShape{input[0], options_.embedding_size};
}

template <Backend B>
LayerOutput<B> SquashedEmbedding<B>::operator()(Stream<B>& stream, const IdsView& ids,
                                                const BasicCallOptions<B>& call) {
  Bags<B> bags;
  HeldIds<B> held;
  Buffer<Key, B> widened;
  IdsView taken;
  BasicCallOptions<B> how = call;
  this->accept(stream, call, [&] {
    taken = this->keys_of(stream, ids, widened);
    this->check_call(stream, taken, call, true);
    output_shape(free_shape(ids));
    check_slices(this->path(), call.slices, ids.shape.size() == 1 ? 1 : ids.samples());
    if (!ids.outer.empty()) {
      held = rectangle_of(stream, taken, call.mask, call.weights);
      taken = held.view();
      how.mask = std::as_const(held.mask).span();
      how.weights = std::as_const(held.weights).span();
    }
    bags = bags_of(stream, taken);
    bags.weigh(stream, how.weights);
    bags.drop_masked(stream, how.mask, options_.padding_id);
  });
  LayerOutput<B> output = this->look_up(stream, bags, how);
  reduce_axes(stream, taken, ids.ragged() ? EmptyForm::ragged : EmptyForm::rectangle, bags, output);
  output.shape = !ids.ragged() && ids.shape.size() == 1
                     ? Shape{options_.embedding_size}
                     : Shape{bags.samples, options_.embedding_size};
  output.slice_starts.clear();
  for (const std::int64_t sample : output.slices.offsets) {
    output.slice_starts.push_back(sample * options_.embedding_size);
  }
  this->finish(stream, ids, output);
  return output;
}

/// Puts `value` into the columns of every bag with no ids; columns are numbers of type T.
template <class T>
struct FillEmptyBags {
  const std::int64_t* offsets;  ///< [bags + 1]
  std::int64_t dim;
  T value;
  T* out;  ///< [bags x dim]

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    for (std::int64_t d = 0; d < dim && offsets[bag] == offsets[bag + 1]; ++d) {
      out[bag * dim + d] = value;
    }
  }
};

/// Whether a bag of ids with three axes or more has no ids.
template <Backend B>
bool has_absent_bags(const IdsView& ids, const Bags<B>& bags) {
  return ids.shape.size() > 2 && bags.values.size() < std::max<std::int64_t>(bags.size(), 1) *
                                                          std::max<std::int64_t>(ids.shape[1], 1);
}

/// What bags with no ids give further reductions: zeros take no part; what TensorFlow gives for
/// them takes part, if they have a place: in nested lists a position that no list reaches has none.
/// Returns which of the pooled vectors take part; empty: all do.
template <Backend B>
Buffer<std::uint8_t, B> SquashedEmbedding<B>::fill_empty(Stream<B>& stream, const IdsView& ids,
                                                         EmptyForm form, const Bags<B>& bags,
                                                         LayerOutput<B>& output) const {
  const bool nested = form == EmptyForm::ragged && ids.shape.size() > 2;
  Buffer<std::uint8_t, B> present;
  if (options_.empty_bag != "zeros" && !nested) {
    const float empty = empty_value(std::get<Combiner>(combiner_), form);
    if (this->is_double()) {
      for_each(
          stream, bags.size(),
          FillEmptyBags<double>{bags.offsets.data(), options_.embedding_size, double_empty(empty),
                                numbers_at<double>(output.values.data())});
    } else {
      for_each(stream, bags.size(),
               FillEmptyBags<float>{bags.offsets.data(), options_.embedding_size, empty,
                                    output.values.data()});
    }
  } else if (has_absent_bags(ids, bags)) {
    present = {stream, bags.size() + 1};  // never empty: an empty buffer means that none is absent
    for_each(stream, bags.size(), BagHasIds{bags.offsets.data(), present.data()});
  }
  return present;
}

/// The vectors [B, m, ..., D] that pooling leaves are reduced along one axis after another.
template <Backend B>
void SquashedEmbedding<B>::reduce_axes(Stream<B>& stream, const IdsView& ids, EmptyForm form,
                                       const Bags<B>& bags, LayerOutput<B>& output) const {
  Buffer<std::uint8_t, B> present = fill_empty(stream, ids, form, bags, output);
  const float empty =
      options_.empty_bag == "zeros" ? 0 : empty_value(std::get<Combiner>(combiner_), form);
  for (std::size_t axis = 2; axis < ids.shape.size(); ++axis) {
    const std::int64_t n = ids.shape[axis], inner = product_of(ids.shape, axis + 1),
                       columns = inner * options_.embedding_size;
    Buffer<float, B> reduced(stream, floats_of(output.dtype, bags.samples * columns));
    Buffer<std::uint8_t, B> left;
    if (!present.empty()) {
      left = {stream, bags.samples * inner + 1};
    }
    reduce_axis(stream, combiner_, output.dtype,
                {.in = output.values.data(),
                 .samples = bags.samples,
                 .n = n,
                 .inner = inner,
                 .dim = options_.embedding_size,
                 .present = present.data(),
                 .empty = empty},
                reduced.data(), left.data());
    if (output.training) {
      output.stages.push_back(
          {std::move(output.values), {bags.samples, n, columns}, std::move(present)});
    }
    output.values = std::move(reduced);
    present = std::move(left);
  }
}

template <Backend B>
void SquashedEmbedding<B>::backward(Stream<B>& stream, const LayerOutput<B>& output,
                                    const float* upstream) {
  if (this->begins_backward(output, false)) {
    send_gradients(stream, output, upstream);
  }
}

template <Backend B>
void SquashedEmbedding<B>::backward(Stream<B>& stream, const LayerOutput<B>& output,
                                    const double* upstream) {
  if (this->begins_backward(output, true)) {
    send_gradients(stream, output, reinterpret_cast<const float*>(upstream));
  }
}

template <Backend B>
void SquashedEmbedding<B>::send_gradients(Stream<B>& stream, const LayerOutput<B>& output,
                                          const float* upstream) {
  Buffer<float, B> sum, gradient;
  upstream = this->add_terms(stream, output, upstream, sum);
  std::int64_t rows = output.shape.size() == 1 ? 1 : output.shape[0];
  for (auto stage = output.stages.rbegin(); stage != output.stages.rend(); ++stage) {
    const Shape& shape = stage->shape;
    Buffer<float, B> before(stream, floats_of(output.dtype, product_of(shape)));
    reduce_axis_back(stream, combiner_, output.dtype,
                     {.in = stage->values.data(),
                      .samples = shape[0],
                      .n = shape[1],
                      .inner = shape[2] / options_.embedding_size,
                      .dim = options_.embedding_size,
                      .present = stage->present.data()},
                     upstream, before.data());
    gradient = std::move(before);
    upstream = gradient.data();
    rows = product_of(shape) / options_.embedding_size;
  }
  this->send_back(stream, output, rows, upstream);
}

template <Backend B>
SquashedEmbedding<B> SquashedEmbedding<B>::from_config(TableSet<B>& tables,
                                                       const SettingValue& config,
                                                       const UserFunctions<B>& functions) {
  return SquashedEmbedding(tables, layer_options(config, functions.rules), functions);
}

}  // namespace keyshard
