// The bodies of Embedding.
#pragma once

#include "embedding/layers/embedding.hpp"
#include "embedding/layers/table_layer_impl.hpp"

namespace keyshard {

/// out[i] = whether id i counts.
struct WriteKept {
  KeptIds ids;
  std::uint8_t* out;

  KEYSHARD_HD void operator()(std::int64_t i) const { out[i] = ids.kept(i) ? 1 : 0; }
};

template <Backend B>
Embedding<B>::Embedding(TableSet<B>& tables, const LayerOptions& options,
                        const UserFunctions<B>& functions)
    : TableLayer<B>(tables, options, InputSpec{.dtype = options.key_dtype}, Sum{}, functions) {}

template <Backend B>
FreeShape Embedding<B>::output_shape(const FreeShape& input) const {
  FreeShape shape = input;
  shape.push_back(options_.embedding_size);
  return shape;
}

template <Backend B>
LayerOutput<B> Embedding<B>::operator()(Stream<B>& stream, const IdsView& ids,
                                        const BasicCallOptions<B>& call) {
  Bags<B> bags;
  Buffer<Key, B> widened;
  this->accept(stream, call, [&] {
    const IdsView keys = this->keys_of(stream, ids, widened);
    this->check_call(stream, keys, call, false);
    bags = single_bags(stream, keys);
    check_slices(this->path(), call.slices, bags.samples);
    bags.drop_masked(stream, call.mask, options_.padding_id);
  });
  LayerOutput<B> output = this->look_up(stream, bags, call);
  output.shape = this->compute_output_shape(ids.ragged() ? Shape{ids.size()} : ids.shape);
  this->finish(stream, ids, output);
  return output;
}

template <Backend B>
void Embedding<B>::backward(Stream<B>& stream, const LayerOutput<B>& output,
                            const float* upstream) {
  if (this->begins_backward(output, false)) {
    send_gradients(stream, output, upstream);
  }
}

template <Backend B>
void Embedding<B>::backward(Stream<B>& stream, const LayerOutput<B>& output,
                            const double* upstream) {
  if (this->begins_backward(output, true)) {
    send_gradients(stream, output, reinterpret_cast<const float*>(upstream));
  }
}

template <Backend B>
void Embedding<B>::send_gradients(Stream<B>& stream, const LayerOutput<B>& output,
                                  const float* upstream) {
  Buffer<float, B> sum;
  this->send_back(stream, output, product_of(output.shape) / options_.embedding_size,
                  this->add_terms(stream, output, upstream, sum));
}

template <Backend B>
std::optional<Buffer<std::uint8_t, B>> Embedding<B>::compute_mask(
    Stream<B>& stream, const IdsView& ids, Span<const std::uint8_t> mask) const {
  Buffer<Key, B> widened;
  const IdsView keys = this->keys_of(stream, ids, widened);
  check_ids(stream, this->path(), keys, mask);
  if (mask.empty() && !options_.padding_id) {
    return std::nullopt;
  }
  Buffer<std::uint8_t, B> combined(stream, keys.values.size());
  Bags<B> bags;
  bags.values = keys.values;
  for_each(stream, keys.values.size(),
           WriteKept{bags.kept(mask, options_.padding_id), combined.data()});
  return combined;
}

template <Backend B>
Embedding<B> Embedding<B>::from_config(TableSet<B>& tables, const SettingValue& config,
                                       const UserFunctions<B>& functions) {
  return Embedding(tables, layer_options(config, functions.rules), functions);
}

}  // namespace keyshard
