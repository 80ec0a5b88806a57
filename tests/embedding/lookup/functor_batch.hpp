// A batch of one rank whose features read three tables, one for each way to pool, with every
// combiner: what the functors of a lookup are launched on, planned as Lookup plans it.
#pragma once

#include <algorithm>
#include <vector>

#include "embedding/lookup/lookup_impl.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard::testing {

/// Those that take weights.
inline std::vector<Combiner> weighted_combiners() { return {Sum{}, Mean{}, SqrtN{}}; }

/// Every combiner of the family.
inline std::vector<Combiner> all_combiners() {
  std::vector<Combiner> combiners;
  for_alternatives<Combiner>([&](auto combiner) { combiners.emplace_back(combiner); });
  return combiners;
}

/// Four samples, in slices 0, 0, 1 and 2 of four. The shards fall into two nodes, and so do the
/// slices 0 to 2.
struct FunctorBatch {
  static constexpr std::int64_t kSamples = 4;

  Stream<Cpu> stream;
  LookupShape shape;
  std::vector<Key> ids;
  std::vector<std::int64_t> bags{0};
  std::vector<float> weights;
  AskerState<Cpu> asker;
  BagParts<Cpu> received;                      // the parts, as their owner reads them
  std::vector<std::vector<float>> upstream;    // of each group
  std::vector<MatrixView<const float>> views;  // of `upstream`
  std::int64_t row_dim;                        // of the widest row
  std::vector<float> values;                   // [distinct keys x row_dim] of the owner

  /// Tables: pooled as a bag stands, by shard, and in reduced form; the first one has two groups.
  /// Where `weighted`, all ids have weights.
  FunctorBatch(std::int64_t dim, const std::vector<Combiner>& combiners, bool weighted = false)
      : shape(make_shape(dim, combiners, weighted)), row_dim(dim + 3) {
    std::fill(shape.node_of_shard.begin(), shape.node_of_shard.begin() + kShards / 2, 0);
    std::fill(shape.node_of_shard.begin() + kShards / 2, shape.node_of_shard.end(), kShards / 2);
    for (std::uint64_t bag = 0; bag < kSamples * shape.features.size(); ++bag) {
      for (std::uint64_t i = 0; i < mix64(bag) % 5; ++i) {
        ids.push_back(mix64(100 * bag + i) % 6);
      }
      bags.push_back(static_cast<std::int64_t>(ids.size()));
    }
    weights = random_floats(static_cast<std::int64_t>(ids.size()), 20);
    const std::int64_t slice_offsets[] = {0, 2, 3, 4};
    const LookupInput input{.bags = {ids, bags},
                            .samples = kSamples,
                            .slices = 4,
                            .run = {0, 3},
                            .slice_offsets = slice_offsets,
                            .weights = weights};
    plan_batch(stream, shape, input, asker);
    plan_parts(stream, shape, 0, asker);
    plan_answers(stream, shape, asker);
    make_numbers();
    receive_parts();
  }

  DeviceShape<Cpu> device() { return {stream, shape}; }

  std::int64_t keys() const { return asker.distinct.size(); }

  std::int64_t num_bags() const { return kSamples * shape.num_features(); }

 private:
  static LookupShape make_shape(std::int64_t dim, const std::vector<Combiner>& combiners,
                                bool weighted) {
    const GroupOptions values{.name = "values",
                              .dim = dim,
                              .initializer = Normal{},
                              .constant = {},
                              .optimizer = Sgd{},
                              .regularization = {}};
    GroupOptions linear = values;
    linear.name = "linear";
    linear.dim = 3;
    std::vector<TableOptions> tables(3);
    tables[0].groups = {values, linear};
    tables[1].groups = tables[2].groups = {values};
    tables[1].pool_order = tables[2].pool_order = PoolOrder::shard;
    tables[2].exchange = ExchangeMode::reduced;
    std::vector<FeatureOptions> features;
    std::vector<const TableOptions*> pointers;
    for (int t = 0; t < 3; ++t) {
      TableOptions& table = tables[static_cast<std::size_t>(t)];
      table.name = std::string(1, static_cast<char>('a' + t));
      pointers.push_back(&table);
      for (const Combiner& combiner : combiners) {
        features.push_back({.name = table.name + name_of(combiner),
                            .table = t,
                            .combiners = std::vector<AnyCombiner>(table.groups.size(), combiner),
                            .weighted = weighted});
      }
    }
    return make_lookup_shape(pointers, features, 1);
  }

  /// Rows that were found, and gradients of what is pooled from them.
  void make_numbers() {
    values = random_floats(keys() * row_dim, 21);
    asker.answers = {stream, asker.answers_layout.size()};
    const auto bytes = static_cast<std::size_t>(asker.answers.size());
    const std::vector<float> answers =
        random_floats(static_cast<std::int64_t>(bytes / sizeof(float)), 22);
    std::copy_n(reinterpret_cast<const std::byte*>(answers.data()), bytes, asker.answers.data());
    asker.values = reinterpret_cast<const float*>(asker.answers.data());
    for (const std::int64_t width : shape.widths) {
      upstream.push_back(random_floats(kSamples * width, 23));
      views.push_back({upstream.back().data(), kSamples, width, width});
    }
  }

  void receive_parts() {
    ReceivedBlocks blocks{asker.distinct.blocks, {0}, {0}};
    for (std::size_t b = 0; b < asker.parts.part_counts.size(); ++b) {
      blocks.part_starts.push_back(blocks.part_starts.back() + asker.parts.part_counts[b]);
      blocks.item_starts.push_back(blocks.item_starts.back() + asker.parts.item_counts[b]);
    }
    received.headers = to_device(stream, asker.parts.headers.span());
    received.items = to_device(stream, asker.parts.items.span());
    read_parts(stream, shape, blocks, asker.shards.data(), received);
  }
};

/// What pooling leaves: the outputs of each group, and the states that backward needs.
struct PooledBatch {
  std::vector<std::vector<float>> pooled;
  std::vector<MatrixView<float>> views;
  std::vector<std::byte> kept;

  explicit PooledBatch(const FunctorBatch& batch)
      : kept(static_cast<std::size_t>(FunctorBatch::kSamples * batch.shape.kept_bytes)) {
    for (const std::int64_t width : batch.shape.widths) {
      pooled.push_back(random_floats(FunctorBatch::kSamples * width, 3));
      views.push_back({pooled.back().data(), FunctorBatch::kSamples, width, width});
    }
  }

  void add_to(Bits& bits) const {
    for (const std::vector<float>& values : pooled) {
      bits.add(values);
    }
    bits.add(kept);
  }
};

inline PoolBags pool_bags(FunctorBatch& batch, const DeviceShape<Cpu>& device, PooledBatch& out) {
  const AskerState<Cpu>& asker = batch.asker;
  return {.shape = device.ref,
          .by_features = device.by_features,
          .reduced = asker.reduced.data(),
          .rows = {asker.values, asker.value_offset(batch.shape), nullptr},
          .items = asker.distinct.inverse.data(),
          .weights = asker.weights_of_items(),
          .bags = asker.bags(),
          .shards = asker.shards.data(),
          .pooled = out.views.data(),
          .kept = out.kept.data(),
          .kept_bytes = batch.shape.kept_bytes,
          .ids = 2,
          .row_dim = batch.shape.uniform() ? batch.shape.dims.front() : 0};
}

inline ReduceParts reduce_parts(FunctorBatch& batch, const DeviceShape<Cpu>& device,
                                std::vector<std::byte>& answers) {
  return {.shape = device.ref,
          .parts = batch.received.parts.data(),
          .items = batch.received.items.data(),
          .key_blocks = batch.asker.distinct.blocks.data(),
          .inverse = nullptr,
          .shards = batch.asker.shards.data(),
          .values = batch.values.data(),
          .value_offset = {batch.row_dim, nullptr},
          .bases = batch.asker.answers_layout.bases.data(),
          .answers = answers.data()};
}

inline MergeBags merge_bags(FunctorBatch& batch, const DeviceShape<Cpu>& device,
                            const std::vector<std::byte>& answers, PooledBatch& out) {
  const PoolBags pool = pool_bags(batch, device, out);
  return {.shape = pool.shape,
          .by_features = pool.by_features,
          .reduced = pool.reduced,
          .parts = batch.asker.parts.parts.data(),
          .starts = batch.asker.parts.starts.data(),
          .bases = batch.asker.answers_layout.bases.data(),
          .answers = answers.data(),
          .items = pool.items,
          .shards = pool.shards,
          .bags = pool.bags,
          .weights = pool.weights,
          .pooled = pool.pooled,
          .kept = pool.kept,
          .kept_bytes = pool.kept_bytes};
}

/// The bytes of the answers, into which the parts are reduced.
inline std::vector<std::byte> answers_of(const FunctorBatch& batch) {
  const auto bytes = batch.asker.answers.span();
  return {bytes.begin(), bytes.end()};
}

/// Pools, reduces and merges all bags of a batch.
inline PooledBatch pool_all(FunctorBatch& batch, const Lanes& lanes,
                            std::vector<std::byte>& answers) {
  const DeviceShape<Cpu> device = batch.device();
  PooledBatch out(batch);
  lanes.rows(batch.num_bags(), pool_bags(batch, device, out));
  lanes.rows(batch.received.parts.size(), reduce_parts(batch, device, answers));
  lanes.rows(batch.num_bags(), merge_bags(batch, device, answers, out));
  return out;
}

}  // namespace keyshard::testing
