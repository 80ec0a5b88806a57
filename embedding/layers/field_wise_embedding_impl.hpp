// The bodies of FieldWiseEmbedding.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "embedding/layers/field_wise_embedding.hpp"
#include "embedding/layers/slot_bags.hpp"
#include "embedding/layers/table_layer_impl.hpp"
#include "embedding/rules/family.hpp"

namespace keyshard {

/// The combiner of a layer of slots. Throws Error{invalid_argument} where it has none.
inline Combiner slot_combiner(const LayerOptions& options) {
  require(!options.combiner.own, Kind::invalid_argument,
          "layer {}: expected a combiner of slots of sum, mean, sqrtn: found one of the program",
          options.name);
  const Combiner combiner = combiner_of(options.combiner.name);
  require(std::holds_alternative<Sum>(combiner) || std::holds_alternative<Mean>(combiner) ||
              std::holds_alternative<SqrtN>(combiner),
          Kind::invalid_argument,
          "layer {}: expected a combiner of slots of sum, mean, sqrtn: found \"{}\"", options.name,
          options.combiner.name);
  return combiner;
}

/// The options of a layer of slots, checked.
template <Backend B>
const LayerOptions& checked_slots(const LayerOptions& options, std::int64_t nslots,
                                  const SlotMap<B>& slot_map) {
  require(nslots >= 1, Kind::invalid_argument, "layer {}: expected nslots >= 1: found {}",
          options.name, nslots);
  require(slot_map.map != nullptr, Kind::invalid_argument,
          "layer {}: slot_map_fn is not callable: expected a function of ids, found none",
          options.name);
  return checked_pooling(options, "FieldWiseEmbedding");
}

template <Backend B>
FieldWiseEmbedding<B>::FieldWiseEmbedding(TableSet<B>& tables, const LayerOptions& options,
                                          std::int64_t nslots, const SlotMap<B>& slot_map_fn,
                                          const UserFunctions<B>& functions)
    : TableLayer<B>(tables, checked_slots(options, nslots, slot_map_fn),
                    InputSpec{.dtype = options.key_dtype, .ndim = 2},
                    slot_combiner(with_rules(options, functions.rules)), functions),
      nslots_(nslots),
      slot_map_(slot_map_fn) {}

template <Backend B>
FreeShape FieldWiseEmbedding<B>::output_shape(const FreeShape& input) const {
  require(input.size() == 2, Kind::invalid_argument,
          "layer {}: expected ids of rank 2: found shape {}", this->path(), shape_text(input));
  return {input[0], nslots_, options_.embedding_size};
}

template <Backend B>
LayerOutput<B> FieldWiseEmbedding<B>::operator()(Stream<B>& stream, const IdsView& ids,
                                                 const BasicCallOptions<B>& call) {
  Bags<B> bags;
  Buffer<Key, B> widened;
  this->accept(stream, call, [&] {
    const IdsView keys = this->keys_of(stream, ids, widened);
    this->check_call(stream, keys, call, false);
    require(!ids.ragged(), Kind::invalid_argument,
            "layer {}: expected rectangular ids [B, n]: found {} ragged lists", this->path(),
            ids.offsets.size() - 1);
    output_shape(free_shape(ids));
    check_slices(this->path(), call.slices, ids.shape[0]);
    bags =
        slot_bags(stream, this->path(), keys, call.mask, options_.padding_id, slot_map_, nslots_);
  });
  LayerOutput<B> output = this->look_up(stream, bags, call);
  output.shape = {bags.samples, nslots_, options_.embedding_size};
  this->finish(stream, ids, output);
  return output;
}

template <Backend B>
void FieldWiseEmbedding<B>::backward(Stream<B>& stream, const LayerOutput<B>& output,
                                     const float* upstream) {
  if (this->begins_backward(output, false)) {
    send_gradients(stream, output, upstream);
  }
}

template <Backend B>
void FieldWiseEmbedding<B>::backward(Stream<B>& stream, const LayerOutput<B>& output,
                                     const double* upstream) {
  if (this->begins_backward(output, true)) {
    send_gradients(stream, output, reinterpret_cast<const float*>(upstream));
  }
}

template <Backend B>
void FieldWiseEmbedding<B>::send_gradients(Stream<B>& stream, const LayerOutput<B>& output,
                                           const float* upstream) {
  Buffer<float, B> sum;
  this->send_back(stream, output, output.shape[0] * nslots_,
                  this->add_terms(stream, output, upstream, sum));
}

template <Backend B>
SettingValue FieldWiseEmbedding<B>::get_config() const {
  require(!slot_map_.name.empty(), Kind::invalid_argument,
          "layer {}: expected a slot_map_fn that is registered under a name, for get_config: found "
          "one without",
          this->path());
  SettingValue config = this->config();
  auto& table = std::get<SettingValue::Table>(config.value);
  table.emplace_back("nslots", value_of(nslots_));
  table.emplace_back("slot_map_fn", value_of(slot_map_.name));
  return config;
}

template <Backend B>
FieldWiseEmbedding<B> FieldWiseEmbedding<B>::from_config(TableSet<B>& tables,
                                                         const SettingValue& config,
                                                         const UserFunctions<B>& functions) {
  const auto report = std::make_shared<SettingsReport>();
  const SettingValue given = without_nulls(config);
  Settings settings(given, "layer", report);
  const LayerOptions options = read_layer_options(settings, functions.rules);
  const std::int64_t nslots = settings.integer("nslots", 1, 1);
  const std::string name = settings.text("slot_map_fn", "");
  settings.finish();
  require_no_problems(*report);
  return FieldWiseEmbedding(tables, options, nslots,
                            registered(functions.slot_maps, name, "a slot_map_fn"), functions);
}

}  // namespace keyshard
