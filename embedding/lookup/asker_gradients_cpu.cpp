// The side of a rank that asks, backward: sums the gradients per key and node of its slices, and
// writes the messages of bags that were pooled by their owners.
#include <algorithm>
#include <bit>

#include "embedding/lookup/lookup_state.hpp"
#include "runtime/for_each.hpp"
#include "runtime/prefetch.hpp"

namespace keyshard {
namespace {

constexpr int kColumns = 64;

/// Calls body(table, begin, end) for runs of distinct keys of one table, on all threads, after
/// fetch(begin, end) of the keys of the block.
template <class Fetch, class Body>
void for_key_blocks(Stream<Cpu>& stream, const LookupShape& shape, const Distinct<Cpu>& distinct,
                    const Fetch& fetch, const Body& body) {
  const std::int64_t tables = shape.tables();
  const std::int64_t keys = block_of(*std::max_element(shape.dims.begin(), shape.dims.end()));
  for_blocks(stream, distinct.size(), keys, fetch, [&](std::int64_t begin, std::int64_t end) {
    auto block = std::upper_bound(distinct.blocks.begin(), distinct.blocks.end(), begin) -
                 distinct.blocks.begin() - 1;
    while (begin < end) {
      const std::int64_t stop = std::min(end, distinct.blocks[static_cast<std::size_t>(block) + 1]);
      if (begin < stop) {
        body(block % tables, begin, stop);
      }
      begin = stop;
      ++block;
    }
  });
}

/// Fetches the upstream rows of the keys [begin, end) ahead; of frequent keys the first ones.
void fetch_upstream(const LookupShape& shape, const AskerState<Cpu>& asker,
                    const std::vector<std::vector<GradientColumn>>& columns,
                    Span<const MatrixView<const float>> gradients, std::int64_t begin,
                    std::int64_t end) {
  const auto features = static_cast<std::uint32_t>(shape.num_features());
  const std::uint32_t first = asker.distinct.offsets[begin];
  const std::uint32_t last = std::min(asker.distinct.offsets[end], first + kFetchedOccurrences);
  for (std::uint32_t k = first; k < last; ++k) {
    const std::uint32_t i = asker.distinct.occurrences[k];
    const std::uint32_t bag = asker.bag_of.size() == 0 ? i : asker.bag_of[i];
    const std::uint32_t f = bag % features;
    for (std::size_t g = 0; g < shape.features[f].groups.size(); ++g) {
      prefetch(gradients[g].row(bag / features) + columns[g][f].column,
               shape.features[f].groups[g].dim);
    }
  }
}

std::vector<std::vector<GradientColumn>> gradient_columns(const LookupShape& shape) {
  std::vector<std::vector<GradientColumn>> columns(shape.widths.size());
  for (std::size_t g = 0; g < columns.size(); ++g) {
    for (const FeatureShape& feature : shape.features) {
      if (g < feature.groups.size()) {
        const FeatureGroup& group = feature.groups[g];
        columns[g].push_back(
            {static_cast<CombinerKind>(group.combiner.index()), group.column, group.state_column});
      } else {
        columns[g].push_back({0, 0, -1});  // the feature's table has no such group: never read
      }
    }
  }
  return columns;
}

bool all_sums(const std::vector<GradientColumn>& columns) {
  return std::all_of(columns.begin(), columns.end(), [](const GradientColumn& column) {
    return column.kind == Combiner(Sum{}).index();
  });
}

/// First slice of the node, in this rank's run, of each slice; and the number of that node.
struct SliceNodes {
  std::vector<std::uint16_t> first;
  std::vector<std::uint16_t> number;
  std::size_t nodes = 0;

  SliceNodes(Range run, std::int64_t slices)
      : first(static_cast<std::size_t>(slices)), number(static_cast<std::size_t>(slices)) {
    for (const Range& node : nodes_of(run)) {
      for (std::int64_t slice = node.begin; slice < node.end; ++slice) {
        first[static_cast<std::size_t>(slice)] = static_cast<std::uint16_t>(node.begin);
        number[static_cast<std::size_t>(slice)] = static_cast<std::uint16_t>(nodes);
      }
      ++nodes;
    }
  }
};

/// The nodes in which a key occurs, one bit each.
std::vector<std::uint32_t> node_masks(const LookupShape& shape, const AskerState<Cpu>& asker,
                                      const SliceNodes& nodes) {
  std::vector<std::uint32_t> masks(static_cast<std::size_t>(asker.distinct.size()));
  const std::int64_t features = shape.num_features();
  for (std::int64_t u = 0; u < asker.distinct.size(); ++u) {
    for (std::uint32_t k = asker.distinct.offsets[u]; k < asker.distinct.offsets[u + 1]; ++k) {
      const std::uint32_t i = asker.distinct.occurrences[k];
      const std::int64_t bag = asker.bag_of.size() == 0 ? i : asker.bag_of[i];
      masks[static_cast<std::size_t>(u)] |= 1u << nodes.number[asker.slice_of[bag / features]];
    }
  }
  return masks;
}

/// Where each key's partials start; the offsets are empty where they are uniform.
struct PartialPlan {
  BlockLayout layout;
  Buffer<std::int64_t, Cpu> offsets;
};

PartialPlan plan_partials(Stream<Cpu>& stream, const LookupShape& shape,
                          const AskerState<Cpu>& asker, const std::vector<std::uint32_t>& masks) {
  const std::int64_t tables = shape.tables();
  const std::vector<std::int64_t>& blocks = asker.distinct.blocks;
  std::vector<std::int64_t> sizes(blocks.size() - 1);
  const bool uniform = masks.empty() && asker.value_offsets.size() == 0;
  PartialPlan plan;
  if (!uniform) {
    plan.offsets = {stream, asker.distinct.size()};
  }
  std::int64_t place = 0;
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    const auto table = block % static_cast<std::size_t>(tables);
    const std::int64_t dim = shape.dims[table];
    const std::int64_t start = place;
    if (asker.reduced[table] != 0) {
      place += asker.parts.back_floats[block];
    } else if (uniform) {
      place += (blocks[block + 1] - blocks[block]) * dim;
    } else {
      for (std::int64_t u = blocks[block]; u < blocks[block + 1]; ++u) {
        plan.offsets[u] = place;
        place += dim * (masks.empty() ? 1 : std::popcount(masks[static_cast<std::size_t>(u)]));
      }
    }
    sizes[block] = place - start;
  }
  plan.layout = BlockLayout(sizes, shape.ranks);
  return plan;
}

/// The backward messages of the parts of reduced tables.
void write_backs(Stream<Cpu>& stream, const LookupShape& shape, const AskerState<Cpu>& asker,
                 const PartialPlan& plan, Span<const MatrixView<const float>> gradients,
                 float* floats) {
  const BagRanges bags = asker.bags();
  for_each(stream, static_cast<std::int64_t>(asker.parts.parts.size()), [&](std::int64_t p) {
    const BagPart& part = asker.parts.parts[static_cast<std::size_t>(p)];
    const FeatureShape& feature = shape.features[part.feature];
    const std::int64_t sample = part.bag / shape.num_features();
    float* out = floats + plan.layout.bases[part.block] + part.back;
    for (std::size_t g = 0; g < feature.groups.size(); ++g) {
      const FeatureGroup& group = feature.groups[g];
      std::visit(
          [&](auto c) {
            using C = decltype(c);
            const float* upstream = gradients[g].row(sample) + group.column;
            const auto* states = reinterpret_cast<const typename C::State*>(
                asker.states.data() + sample * shape.kept_floats +
                std::max<std::int64_t>(group.state_column, 0));
            auto* backs = reinterpret_cast<typename C::Back*>(out);
            for (std::int64_t d = 0; d < group.dim; ++d) {
              const auto state = C::kBackNeedsState ? states[d] : C::start(0.0f);
              backs[d] = C::back(upstream[d], state, bags.size(part.bag));
            }
            out += group.dim * back_floats(group.combiner);
          },
          group.combiner);
    }
  });
}

/// Sums the gradients of distinct keys into their partials, group by group.
struct KeySums {
  const LookupShape& shape;
  const AskerState<Cpu>& asker;
  const SliceNodes& nodes;
  const PartialPlan& plan;
  const std::vector<std::vector<GradientColumn>>& columns;
  Span<const MatrixView<const float>> gradients;
  float* partials;

  /// Of the keys [begin, end) of a table.
  void sum(std::size_t table, std::int64_t begin, std::int64_t end) const {
    const ItemOffsets value_offset{
        shape.dims.front(), asker.value_offsets.size() == 0 ? nullptr : asker.value_offsets.data()};
    const ItemOffsets partial_offset{shape.dims.front(),
                                     plan.offsets.size() == 0 ? nullptr : plan.offsets.data()};
    std::int64_t offset = 0;
    for (std::size_t g = 0; g < shape.table_dims[table].size(); ++g) {
      const std::int64_t dim = shape.table_dims[table][g];
      run_rows(begin, end,
               SumOccurrences<kColumns>{
                   asker.distinct.offsets.data(), asker.distinct.occurrences.data(),
                   asker.bag_of.size() == 0 ? nullptr : asker.bag_of.data(), asker.bags(),
                   shape.num_features(), asker.slice_of.data(), nodes.first.data(),
                   columns[g].data(), all_sums(columns[g]), gradients[g], asker.states.data(),
                   shape.kept_floats, asker.values.data(), value_offset, offset, shape.dims[table],
                   dim, partials, partial_offset});
      offset += dim;
    }
  }
};

}  // namespace

template <>
GradientMessage<Cpu> sum_gradients(Stream<Cpu>& stream, const LookupShape& shape,
                                   const AskerState<Cpu>& asker,
                                   Span<const MatrixView<const float>> gradients) {
  GradientMessage<Cpu> message;
  const SliceNodes nodes(asker.run, asker.slices);
  if (nodes.nodes > 1) {
    message.masks = node_masks(shape, asker, nodes);
  }
  const PartialPlan plan = plan_partials(stream, shape, asker, message.masks);
  message.float_counts = plan.layout.counts;
  message.floats = {stream, plan.layout.size()};
  if (shape.counts_occurrences) {
    for (std::int64_t u = 0; u < asker.distinct.size(); ++u) {
      message.counts.push_back(asker.distinct.offsets[u + 1] - asker.distinct.offsets[u]);
    }
  }

  const std::vector<std::vector<GradientColumn>> columns = gradient_columns(shape);
  const KeySums sums{shape, asker, nodes, plan, columns, gradients, message.floats.data()};
  const auto fetch = [&](std::int64_t begin, std::int64_t end) {
    fetch_upstream(shape, asker, columns, gradients, begin, end);
  };
  const auto sum = [&](std::int64_t table, std::int64_t begin, std::int64_t end) {
    const auto t = static_cast<std::size_t>(table);
    if (asker.reduced[t] == 0) {
      sums.sum(t, begin, end);
    }
  };
  for_key_blocks(stream, shape, asker.distinct, fetch, sum);
  write_backs(stream, shape, asker, plan, gradients, message.floats.data());
  return message;
}

}  // namespace keyshard
