// The bodies of the layers.
#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <numeric>
#include <vector>

#include "embedding/layers/reduce_axis.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "embedding/lookup/check_bags.hpp"
#include "runtime/copy.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"
#include "runtime/primitives.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

using Shape = std::vector<std::int64_t>;

/// The product of the extents from axis `begin` on.
inline std::int64_t product_of(const Shape& shape, std::size_t begin = 0) {
  return std::accumulate(shape.begin() + static_cast<std::ptrdiff_t>(std::min(begin, shape.size())),
                         shape.end(), std::int64_t{1}, std::multiplies<>());
}

/// out[i] = i * step.
struct CountUp {
  std::int64_t step;
  std::int64_t* out;

  KEYSHARD_HD void operator()(std::int64_t i) const { out[i] = i * step; }
};

/// Brings ids [B, n, inner] into the order [B, inner, n].
struct TransposeIds {
  const Key* ids;
  std::int64_t n;
  std::int64_t inner;
  Key* out;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const std::int64_t sample = i / (n * inner), k = i / n % inner, j = i % n;
    out[i] = ids[(sample * n + j) * inner + k];
  }
};

/// Puts `value` into the columns of every bag with no ids.
struct FillEmptyBags {
  const std::int64_t* offsets;  ///< [bags + 1]
  std::int64_t dim;
  float value;
  float* out;  ///< [bags x dim]

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    for (std::int64_t d = 0; d < dim && offsets[bag] == offsets[bag + 1]; ++d) {
      out[bag * dim + d] = value;
    }
  }
};

/// The ids of a call as bags, bag after bag. Sample b of the first axis has `per_sample` bags, or
/// the bags firsts[b] .. firsts[b + 1] where `firsts` is given.
template <Backend B>
struct Bags {
  Span<const Key> values;
  Span<const std::int64_t> offsets;
  std::int64_t samples = 1;
  std::int64_t per_sample = 1;
  const std::int64_t* firsts = nullptr;  // [samples + 1], on the device
  Buffer<Key, B> own_values;
  Buffer<std::int64_t, B> own_offsets;

  std::int64_t size() const { return offsets.size() - 1; }

  /// Bags of `n` ids each.
  void cut(Stream<B>& stream, std::int64_t bags, std::int64_t n) {
    own_offsets = {stream, bags + 1};
    for_each(stream, bags + 1, CountUp{n, own_offsets.data()});
    offsets = std::as_const(own_offsets).span();
  }
};

template <Backend B>
void check_ids(Stream<B>& stream, const LayerOptions& options, const IdsView& ids) {
  const std::int64_t n = ids.values.size();
  if (!ids.ragged()) {
    require(product_of(ids.shape) == n, Kind::invalid_argument,
            "layer {}: expected ids that fill their shape [{}]: found {}", options.name,
            fmt::join(ids.shape, ", "), n);
    return;
  }
  const std::int64_t lists = ids.offsets.size() - 1;
  const std::int64_t runs[] = {0, lists, 2 * lists};
  const std::int64_t front = value_at(stream, ids.offsets.data());
  const std::int64_t back = value_at(stream, ids.offsets.data() + lists);
  require(front == 0 && back == n &&
              sum_runs(stream, runs, CheckBags{ids.offsets.data(), lists, n})[1] == 0,
          Kind::invalid_argument,
          "layer {}: expected ascending offsets from 0 to the number of ids {}: found {} to {}",
          options.name, n, front, back);
}

inline void check_slices(const LayerOptions& options, const SliceLayout* slices,
                         std::int64_t samples) {
  require(
      slices == nullptr || (!slices->offsets.empty() && slices->offsets.front() == 0 &&
                            slices->offsets.back() == samples &&
                            std::is_sorted(slices->offsets.begin(), slices->offsets.end())),
      Kind::invalid_argument,
      "layer {}: expected ascending slice offsets from 0 to the number of samples {}: found [{}]",
      options.name, samples,
      slices == nullptr ? "" : fmt::format("{}", fmt::join(slices->offsets, ", ")));
}

/// Bags along axis 1: of ids [B, n, inner...] bag (b, k) has ids [b, :, k].
template <Backend B>
Bags<B> bags_of(Stream<B>& stream, const IdsView& ids) {
  Bags<B> bags;
  bags.values = ids.values;
  if (ids.ragged()) {
    bags.offsets = ids.offsets;
    bags.samples = ids.offsets.size() - 1;
    return bags;
  }
  const bool one_bag = ids.shape.size() == 1;
  bags.samples = one_bag ? 1 : ids.shape[0];
  const std::int64_t n = one_bag ? ids.shape[0] : ids.shape[1];
  bags.per_sample = one_bag ? 1 : product_of(ids.shape, 2);
  if (bags.per_sample > 1) {
    bags.own_values = {stream, ids.values.size()};
    for_each(stream, ids.values.size(),
             TransposeIds{ids.values.data(), n, bags.per_sample, bags.own_values.data()});
    bags.values = std::as_const(bags.own_values).span();
  }
  bags.cut(stream, bags.samples * bags.per_sample, n);
  return bags;
}

/// Bags of one id each.
template <Backend B>
Bags<B> single_bags(Stream<B>& stream, const IdsView& ids) {
  Bags<B> bags;
  bags.values = ids.values;
  bags.cut(stream, ids.values.size(), 1);
  if (ids.ragged()) {
    bags.samples = ids.offsets.size() - 1;
    bags.firsts = ids.offsets.data();
  } else {
    bags.samples = ids.shape.empty() ? 1 : ids.shape[0];
    bags.per_sample = product_of(ids.shape, 1);
  }
  return bags;
}

/// Looks the bags up; the values are [bags, D].
template <Backend B>
void look_up(Stream<B>& stream, Lookup<B>& lookup, const Bags<B>& bags, bool training,
             const SliceLayout& slices, LayerOutput<B>& output) {
  const std::int64_t rows = bags.size(), dim = lookup.width(0);
  std::vector<std::int64_t> offsets;
  for (const std::int64_t sample : slices.offsets) {
    offsets.push_back(bags.firsts == nullptr ? sample * bags.per_sample
                                             : value_at(stream, bags.firsts + sample));
  }
  output.values = {stream, rows * dim};
  const MatrixView<float> pooled{output.values.data(), rows, dim, dim};
  const LookupInput input{{bags.values, bags.offsets}, rows, slices.slices, slices.run, offsets};
  output.trace =
      lookup.forward(stream, input, training, {}, Span<const MatrixView<float>>(&pooled, 1));
}

template <Backend B>
void send_back(Stream<B>& stream, Lookup<B>& lookup, const LayerOutput<B>& output,
               std::int64_t rows, const float* upstream) {
  const std::int64_t dim = lookup.width(0);
  const MatrixView<const float> gradient{upstream, rows, dim, dim};
  lookup.backward(stream, output.trace, Span<const MatrixView<const float>>(&gradient, 1));
}

/// Reduces axis 1 of the values, which have the shape of the newest stage, over its `n` elements
/// or none (0), and keeps them as that stage.
template <Backend B>
void reduce_stage(Stream<B>& stream, const Combiner& combiner, std::int64_t n, float empty,
                  LayerOutput<B>& output) {
  const Shape& shape = output.stage_shapes.back();
  Buffer<float, B> reduced(stream, shape[0] * shape[2]);
  visit_variant(combiner, [&](auto c) {
    for_each_row(stream, shape[0],
                 ReduceAxis<decltype(c)>{output.values.data(), n, shape[2], empty, reduced.data()});
  });
  output.stages.push_back(std::move(output.values));
  output.values = std::move(reduced);
}

template <Backend B>
Table<B>& layer_table(TableSet<B>& tables, const LayerOptions& options) {
  check(options);
  if (!options.share.empty()) {
    Table<B>& shared = tables.at(options.share);
    require(shared.layout().dim == options.embedding_size, Kind::invalid_argument,
            "layer {}: expected embedding_size {} of the shared table {}: found {}", options.name,
            shared.layout().dim, options.share, options.embedding_size);
    return shared;
  }
  TableOptions table;
  table.name = options.name;
  table.groups = {{"values", options.embedding_size, options.initializer, options.constant,
                   options.optimizer, options.regularization}};
  table.partitioner = options.partitioner;
  table.seed = options.seed.value_or(hash_bytes(options.name));
  table.exchange = options.exchange;
  table.pool_order = options.pool_order;
  table.missing = options.missing;
  table.init_capacity = options.init_capacity;
  return tables.create(table);
}

template <Backend B>
TableLayer<B>::TableLayer(TableSet<B>& tables, const LayerOptions& options,
                          const Combiner& combiner)
    : options_(options),
      table_(&layer_table(tables, options)),
      lookup_(tables.communicator(), {table_}, {FeatureOptions{options.name, 0, {combiner}}}),
      combiner_(combiner),
      rank_(tables.communicator().rank()),
      ranks_(tables.communicator().size()) {}

template <Backend B>
void TableLayer<B>::accept(Stream<B>& stream, const std::function<void()>& check) {
  try {
    check();
  } catch (const Error&) {
    lookup_.refuse(stream, std::current_exception());
  }
}

template <Backend B>
SliceLayout TableLayer<B>::slices_of(const SliceLayout* given, std::int64_t samples) const {
  return given != nullptr ? *given : SliceLayout{ranks_, {rank_, rank_ + 1}, {0, samples}};
}

template <Backend B>
SquashedEmbedding<B>::SquashedEmbedding(TableSet<B>& tables, const LayerOptions& options)
    : TableLayer<B>(tables, options, combiner_of(options.combiner)) {}

template <Backend B>
std::vector<std::int64_t> SquashedEmbedding<B>::compute_output_shape(
    const std::vector<std::int64_t>& ids) const {
  require(!ids.empty(), Kind::invalid_argument,
          "layer {}: expected ids of rank 1 or more: found a scalar (shape [])", options_.name);
  return ids.size() == 1 ? Shape{options_.embedding_size} : Shape{ids[0], options_.embedding_size};
}

template <Backend B>
LayerOutput<B> SquashedEmbedding<B>::forward(Stream<B>& stream, const IdsView& ids, bool training,
                                             const SliceLayout* slices) {
  LayerOutput<B> output;
  Bags<B> bags;
  this->accept(stream, [&] {
    if (!ids.ragged()) {
      output.shape = compute_output_shape(ids.shape);
    }
    check_ids(stream, options_, ids);
    bags = bags_of(stream, ids);
    check_slices(options_, slices, bags.samples);
  });
  look_up(stream, lookup_, bags, training, this->slices_of(slices, bags.samples), output);
  const EmptyForm form = ids.ragged() ? EmptyForm::ragged : EmptyForm::rectangle;
  const float empty = options_.empty_bag == "tf" ? empty_value(combiner_, form) : 0.0f;
  if (options_.empty_bag == "tf") {
    for_each(
        stream, bags.size(),
        FillEmptyBags{bags.offsets.data(), options_.embedding_size, empty, output.values.data()});
  }
  if (ids.ragged()) {
    output.shape = {bags.samples, options_.embedding_size};
  }
  // The vectors [B, m, ..., D] that pooling leaves are reduced along one axis after another. Zeros
  // of bags with no ids take no part.
  const bool absent = options_.empty_bag == "zeros" && bags.values.empty();
  for (std::size_t axis = 2; axis < ids.shape.size(); ++axis) {
    const std::int64_t columns = product_of(ids.shape, axis + 1) * options_.embedding_size;
    output.stage_shapes.push_back({bags.samples, ids.shape[axis], columns});
    reduce_stage(stream, combiner_, absent ? 0 : ids.shape[axis], empty, output);
  }
  return output;
}

template <Backend B>
void SquashedEmbedding<B>::backward(Stream<B>& stream, const LayerOutput<B>& output,
                                    const float* upstream) {
  if (!options_.trainable) {
    return;
  }
  Buffer<float, B> gradient;
  std::int64_t rows = output.shape.size() == 1 ? 1 : output.shape[0];
  for (std::size_t stage = output.stages.size(); stage-- > 0;) {
    const Shape& shape = output.stage_shapes[stage];
    Buffer<float, B> before(stream, product_of(shape));
    visit_variant(combiner_, [&](auto c) {
      const ReduceAxis<decltype(c)> forward{output.stages[stage].data(), shape[1], shape[2], 0,
                                            nullptr};
      for_each_row(stream, shape[0],
                   ReduceAxisGradient<decltype(c)>{forward, upstream, before.data()});
    });
    gradient = std::move(before);
    upstream = gradient.data();
    rows = product_of(shape) / options_.embedding_size;
  }
  send_back(stream, lookup_, output, rows, upstream);
}

template <Backend B>
Embedding<B>::Embedding(TableSet<B>& tables, const LayerOptions& options)
    : TableLayer<B>(tables, options, Sum{}) {}

template <Backend B>
std::vector<std::int64_t> Embedding<B>::compute_output_shape(
    const std::vector<std::int64_t>& ids) const {
  Shape shape = ids;
  shape.push_back(options_.embedding_size);
  return shape;
}

template <Backend B>
LayerOutput<B> Embedding<B>::forward(Stream<B>& stream, const IdsView& ids, bool training,
                                     const SliceLayout* slices) {
  Bags<B> bags;
  this->accept(stream, [&] {
    check_ids(stream, options_, ids);
    bags = single_bags(stream, ids);
    check_slices(options_, slices, bags.samples);
  });
  LayerOutput<B> output;
  output.shape = compute_output_shape(
      ids.ragged() ? Shape{static_cast<std::int64_t>(ids.values.size())} : ids.shape);
  look_up(stream, lookup_, bags, training, this->slices_of(slices, bags.samples), output);
  return output;
}

template <Backend B>
void Embedding<B>::backward(Stream<B>& stream, const LayerOutput<B>& output,
                            const float* upstream) {
  if (options_.trainable) {
    send_back(stream, lookup_, output, product_of(output.shape) / options_.embedding_size,
              upstream);
  }
}

}  // namespace keyshard
