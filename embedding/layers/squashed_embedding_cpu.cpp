#include <algorithm>
#include <exception>
#include <numeric>

#include "embedding/layers/reduce_axis.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {
namespace {

using Shape = std::vector<std::int64_t>;

std::int64_t product(const Shape& shape, std::size_t begin = 0) {
  return std::accumulate(shape.begin() + static_cast<std::ptrdiff_t>(std::min(begin, shape.size())),
                         shape.end(), std::int64_t{1}, std::multiplies<>());
}

void check_ids(const LayerOptions& options, const IdsView& ids) {
  const auto n = static_cast<std::int64_t>(ids.values.size());
  if (!ids.ragged()) {
    require(product(ids.shape) == n, Kind::invalid_argument,
            "layer {}: expected ids that fill their shape [{}]: found {}", options.name,
            fmt::join(ids.shape, ", "), n);
    return;
  }
  require(ids.offsets.front() == 0 && ids.offsets.back() == n &&
              std::is_sorted(ids.offsets.begin(), ids.offsets.end()),
          Kind::invalid_argument,
          "layer {}: expected ascending offsets from 0 to the number of ids {}: found {} to {}",
          options.name, n, ids.offsets.front(), ids.offsets.back());
}

void check_slices(const LayerOptions& options, const SliceLayout* slices, std::int64_t samples) {
  require(
      slices == nullptr || (!slices->offsets.empty() && slices->offsets.front() == 0 &&
                            slices->offsets.back() == samples &&
                            std::is_sorted(slices->offsets.begin(), slices->offsets.end())),
      Kind::invalid_argument,
      "layer {}: expected ascending slice offsets from 0 to the number of samples {}: found [{}]",
      options.name, samples,
      slices == nullptr ? "" : fmt::format("{}", fmt::join(slices->offsets, ", ")));
}

/// The ids of a call as bags: bag after bag, `per_sample` bags for each sample of the first axis,
/// or those from firsts[sample] on.
struct Bags {
  std::vector<Key> values;
  std::vector<std::int64_t> offsets{0};
  std::int64_t samples = 1;
  std::int64_t per_sample = 1;
  std::vector<std::int64_t> firsts;

  std::int64_t size() const { return static_cast<std::int64_t>(offsets.size()) - 1; }

  std::int64_t first(std::int64_t sample) const {
    return firsts.empty() ? sample * per_sample : firsts[static_cast<std::size_t>(sample)];
  }
};

/// Bags along axis 1: of ids [B, n, inner...] bag (b, k) has ids [b, :, k].
Bags bags_of(const IdsView& ids) {
  Bags bags;
  if (ids.ragged()) {
    bags.values.assign(ids.values.begin(), ids.values.end());
    bags.offsets.assign(ids.offsets.begin(), ids.offsets.end());
    bags.samples = static_cast<std::int64_t>(ids.offsets.size()) - 1;
    return bags;
  }
  const bool one_bag = ids.shape.size() == 1;
  bags.samples = one_bag ? 1 : ids.shape[0];
  const std::int64_t n = one_bag ? ids.shape[0] : ids.shape[1];
  bags.per_sample = one_bag ? 1 : product(ids.shape, 2);
  bags.values.reserve(ids.values.size());
  for (std::int64_t b = 0; b < bags.samples; ++b) {
    for (std::int64_t k = 0; k < bags.per_sample; ++k) {
      for (std::int64_t i = 0; i < n; ++i) {
        bags.values.push_back(
            ids.values[static_cast<std::size_t>((b * n + i) * bags.per_sample + k)]);
      }
      bags.offsets.push_back(static_cast<std::int64_t>(bags.values.size()));
    }
  }
  return bags;
}

/// Bags of one id each.
Bags single_bags(const IdsView& ids) {
  Bags bags;
  bags.values.assign(ids.values.begin(), ids.values.end());
  bags.offsets.resize(bags.values.size() + 1);
  std::iota(bags.offsets.begin(), bags.offsets.end(), 0);
  if (ids.ragged()) {
    bags.samples = static_cast<std::int64_t>(ids.offsets.size()) - 1;
    bags.firsts.assign(ids.offsets.begin(), ids.offsets.end());
  } else {
    bags.samples = ids.shape.empty() ? 1 : ids.shape[0];
    bags.per_sample = product(ids.shape, 1);
  }
  return bags;
}

/// Looks the bags up; the values are [bags, D].
void look_up(Stream<Cpu>& stream, Lookup<Cpu>& lookup, const Bags& bags, bool training,
             const SliceLayout& slices, LayerOutput<Cpu>& output) {
  const std::int64_t rows = bags.size(), dim = lookup.width(0);
  std::vector<std::int64_t> offsets;
  for (const std::int64_t offset : slices.offsets) {
    offsets.push_back(bags.first(offset));
  }
  output.values = {stream, rows * dim};
  const MatrixView<float> pooled{output.values.data(), rows, dim, dim};
  const LookupInput input{{bags.values, bags.offsets}, rows, slices.slices, slices.run, offsets};
  output.trace =
      lookup.forward(stream, input, training, {}, Span<const MatrixView<float>>(&pooled, 1));
}

void back(Stream<Cpu>& stream, Lookup<Cpu>& lookup, const LayerOutput<Cpu>& output,
          std::int64_t rows, const float* upstream) {
  const std::int64_t dim = lookup.width(0);
  const MatrixView<const float> gradient{upstream, rows, dim, dim};
  lookup.backward(stream, output.trace, Span<const MatrixView<const float>>(&gradient, 1));
}

}  // namespace

template <>
TableLayer<Cpu>::TableLayer(TableSet<Cpu>& tables, const LayerOptions& options,
                            const Combiner& combiner)
    : options_(options),
      table_(&layer_table(tables, options)),
      lookup_(tables.communicator(), {table_}, {FeatureOptions{options.name, 0, {combiner}}}),
      combiner_(combiner),
      rank_(tables.communicator().rank()),
      ranks_(tables.communicator().size()) {}

template <>
void TableLayer<Cpu>::accept(Stream<Cpu>& stream, const std::function<void()>& check) {
  try {
    check();
  } catch (const Error&) {
    lookup_.refuse(stream, std::current_exception());
  }
}

template <>
SliceLayout TableLayer<Cpu>::slices_of(const SliceLayout* given, std::int64_t samples) const {
  return given != nullptr ? *given : SliceLayout{ranks_, {rank_, rank_ + 1}, {0, samples}};
}

template <>
SquashedEmbedding<Cpu>::SquashedEmbedding(TableSet<Cpu>& tables, const LayerOptions& options)
    : TableLayer(tables, options, combiner_of(options.combiner)) {}

template <>
std::vector<std::int64_t> SquashedEmbedding<Cpu>::compute_output_shape(
    const std::vector<std::int64_t>& ids) const {
  require(!ids.empty(), Kind::invalid_argument,
          "layer {}: expected ids of rank 1 or more: found a scalar (shape [])", options_.name);
  return ids.size() == 1 ? Shape{options_.embedding_size} : Shape{ids[0], options_.embedding_size};
}

template <>
LayerOutput<Cpu> SquashedEmbedding<Cpu>::forward(Stream<Cpu>& stream, const IdsView& ids,
                                                 bool training, const SliceLayout* slices) {
  LayerOutput<Cpu> output;
  Bags bags;
  accept(stream, [&] {
    if (!ids.ragged()) {
      output.shape = compute_output_shape(ids.shape);
    }
    check_ids(options_, ids);
    bags = bags_of(ids);
    check_slices(options_, slices, bags.samples);
  });
  look_up(stream, lookup_, bags, training, slices_of(slices, bags.samples), output);
  if (ids.ragged()) {
    output.shape = {bags.samples, options_.embedding_size};
  }
  // The axes that are left: [B, m, ...] of vectors, reduced one after another.
  for (std::size_t axis = 2; axis < ids.shape.size(); ++axis) {
    const std::int64_t n = ids.shape[axis],
                       columns = product(ids.shape, axis + 1) * options_.embedding_size;
    Buffer<float, Cpu> reduced(stream, bags.samples * columns);
    std::visit(
        [&](auto c) {
          for_each_row(stream, bags.samples,
                       ReduceAxis<decltype(c)>{output.values.data(), n, columns, reduced.data()});
        },
        combiner_);
    output.stages.push_back(std::move(output.values));
    output.stage_shapes.push_back({bags.samples, n, columns});
    output.values = std::move(reduced);
  }
  return output;
}

template <>
void SquashedEmbedding<Cpu>::backward(Stream<Cpu>& stream, const LayerOutput<Cpu>& output,
                                      const float* upstream) {
  if (!options_.trainable) {
    return;
  }
  Buffer<float, Cpu> gradient;
  std::int64_t rows = output.shape.size() == 1 ? 1 : output.shape[0];
  for (std::size_t stage = output.stages.size(); stage-- > 0;) {
    const Shape& shape = output.stage_shapes[stage];
    Buffer<float, Cpu> before(stream, product(shape));
    std::visit(
        [&](auto c) {
          const ReduceAxis<decltype(c)> forward{output.stages[stage].data(), shape[1], shape[2],
                                                nullptr};
          for_each_row(stream, shape[0],
                       ReduceAxisGradient<decltype(c)>{forward, upstream, before.data()});
        },
        combiner_);
    gradient = std::move(before);
    upstream = gradient.data();
    rows = product(shape) / options_.embedding_size;
  }
  back(stream, lookup_, output, rows, upstream);
}

template <>
Embedding<Cpu>::Embedding(TableSet<Cpu>& tables, const LayerOptions& options)
    : TableLayer(tables, options, Sum{}) {}

template <>
std::vector<std::int64_t> Embedding<Cpu>::compute_output_shape(
    const std::vector<std::int64_t>& ids) const {
  Shape shape = ids;
  shape.push_back(options_.embedding_size);
  return shape;
}

template <>
LayerOutput<Cpu> Embedding<Cpu>::forward(Stream<Cpu>& stream, const IdsView& ids, bool training,
                                         const SliceLayout* slices) {
  Bags bags;
  accept(stream, [&] {
    check_ids(options_, ids);
    bags = single_bags(ids);
    check_slices(options_, slices, bags.samples);
  });
  LayerOutput<Cpu> output;
  output.shape = compute_output_shape(
      ids.ragged() ? Shape{static_cast<std::int64_t>(ids.values.size())} : ids.shape);
  look_up(stream, lookup_, bags, training, slices_of(slices, bags.samples), output);
  return output;
}

template <>
void Embedding<Cpu>::backward(Stream<Cpu>& stream, const LayerOutput<Cpu>& output,
                              const float* upstream) {
  if (options_.trainable) {
    back(stream, lookup_, output, product(output.shape) / options_.embedding_size, upstream);
  }
}

}  // namespace keyshard
