// The side of a rank that owns rows: finds and reads them, answers, and folds the gradients that
// come back.
#include <algorithm>
#include <bit>

#include "embedding/lookup/lookup_state.hpp"
#include "runtime/for_each.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {
namespace {

constexpr int kColumns = 32;
constexpr std::size_t kNodes = 32;  // a run has at most 2 log2 V nodes

/// Table of each received key.
Buffer<std::uint16_t, Cpu> tables_of(Stream<Cpu>& stream, const LookupShape& shape,
                                     const std::vector<std::int64_t>& blocks) {
  Buffer<std::uint16_t, Cpu> tables;
  if (shape.tables() > 1) {
    tables = {stream, blocks.back()};
    for (std::size_t block = 0; block + 1 < blocks.size(); ++block) {
      std::fill(tables.data() + blocks[block], tables.data() + blocks[block + 1],
                static_cast<std::uint16_t>(block % static_cast<std::size_t>(shape.tables())));
    }
  }
  return tables;
}

std::vector<std::int64_t> answer_sizes(const LookupShape& shape, const OwnerState<Cpu>& owner) {
  std::vector<std::int64_t> sizes(owner.blocks.size() - 1);
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    sizes[block] = owner.reduced[block] != 0
                       ? owner.parts.state_floats[block]
                       : (owner.blocks[block + 1] - owner.blocks[block]) *
                             shape.dims[block % static_cast<std::size_t>(shape.tables())];
  }
  return sizes;
}

/// Occurrences of received keys in reduced bags, grouped by key, in the order in which they came.
struct Terms {
  std::vector<std::int64_t> offsets;  ///< [received + 1]; empty where no block is reduced
  std::vector<OwnerTerm> terms;
};

Terms group_terms(Stream<Cpu>& stream, const OwnerState<Cpu>& owner, const BlockLayout& layout) {
  Terms out;
  if (owner.parts.parts.empty()) {
    return out;
  }
  out.offsets.resize(static_cast<std::size_t>(owner.blocks.back()) + 1);
  const auto item = [&](const BagPart& part, std::uint32_t j) {
    return static_cast<std::size_t>(owner.blocks[part.block] +
                                    owner.parts.words[static_cast<std::size_t>(part.items) + j]);
  };
  for (const BagPart& part : owner.parts.parts) {
    for (std::uint32_t j = 0; j < part.count; ++j) {
      ++out.offsets[item(part, j)];
    }
  }
  scan(
      stream, owner.blocks.back(),
      [&](std::int64_t i) { return out.offsets[static_cast<std::size_t>(i)]; }, out.offsets.data());
  out.terms.resize(static_cast<std::size_t>(out.offsets.back()));
  std::vector<std::int64_t> next(out.offsets.begin(), out.offsets.end() - 1);
  for (const BagPart& part : owner.parts.parts) {
    for (std::uint32_t j = 0; j < part.count; ++j) {
      out.terms[static_cast<std::size_t>(next[item(part, j)]++)] = {
          part.slice, part.feature, layout.bases[part.block] + part.back};
    }
  }
  return out;
}

/// Where each group of each feature starts in a backward message.
std::vector<std::vector<GradientColumn>> back_columns(const LookupShape& shape) {
  std::vector<std::vector<GradientColumn>> columns(
      shape.widths.size(), std::vector<GradientColumn>(shape.features.size()));
  for (std::size_t f = 0; f < shape.features.size(); ++f) {
    std::int64_t offset = 0;
    for (std::size_t g = 0; g < shape.features[f].groups.size(); ++g) {
      const FeatureGroup& group = shape.features[f].groups[g];
      columns[g][f] = {static_cast<CombinerKind>(group.combiner.index()), offset, -1};
      offset += group.dim * back_floats(group.combiner);
    }
  }
  return columns;
}

/// First slices of the nodes of every rank's run.
std::vector<std::uint16_t> slice_nodes(std::int64_t ranks, std::int64_t slices) {
  std::vector<std::uint16_t> first(static_cast<std::size_t>(ranks) * kNodes);
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    std::size_t at = static_cast<std::size_t>(rank) * kNodes;
    for (const Range& node : nodes_of(run_of(rank, ranks, slices))) {
      first[at++] = static_cast<std::uint16_t>(node.begin);
    }
  }
  return first;
}

std::vector<std::uint16_t> ranks_of(const LookupShape& shape,
                                    const std::vector<std::int64_t>& blocks) {
  std::vector<std::uint16_t> ranks(static_cast<std::size_t>(blocks.back()));
  for (std::size_t block = 0; block + 1 < blocks.size(); ++block) {
    std::fill(ranks.begin() + blocks[block], ranks.begin() + blocks[block + 1],
              static_cast<std::uint16_t>(block / static_cast<std::size_t>(shape.tables())));
  }
  return ranks;
}

/// Occurrences of each distinct key of a table, over all ranks.
Buffer<std::uint32_t, Cpu> sum_counts(Stream<Cpu>& stream, const OwnerState<Cpu>& owner,
                                      const std::vector<std::uint32_t>& counts, std::int64_t begin,
                                      std::int64_t end) {
  if (counts.empty()) {
    return {};
  }
  Buffer<std::uint32_t, Cpu> sums(stream, end - begin);
  for (std::int64_t d = begin; d < end; ++d) {
    std::uint32_t sum = 0;
    if (owner.distinct.size() == 0) {
      sum = counts[static_cast<std::size_t>(d)];
    } else {
      for (std::uint32_t k = owner.distinct.offsets[d]; k < owner.distinct.offsets[d + 1]; ++k) {
        sum += counts[owner.distinct.occurrences[k]];
      }
    }
    sums[d - begin] = sum;
  }
  return sums;
}

/// The distinct keys of a table.
Span<const Key> keys_of(const OwnerState<Cpu>& owner, std::size_t table) {
  const Span<const Key> distinct =
      owner.distinct.size() == 0 ? owner.received : owner.distinct.keys.span();
  return distinct.subspan(static_cast<std::size_t>(owner.firsts[table]),
                          static_cast<std::size_t>(owner.firsts[table + 1] - owner.firsts[table]));
}

}  // namespace

template <>
void find_rows(Stream<Cpu>& stream, const LookupShape& shape,
               const std::vector<Table<Cpu>*>& tables, OwnerState<Cpu>& owner) {
  owner.firsts = owner.blocks;
  if (shape.ranks > 1) {
    const Buffer<std::uint16_t, Cpu> table_of = tables_of(stream, shape, owner.blocks);
    owner.distinct =
        dedup(stream, Occurrences{owner.received, table_of.size() == 0 ? nullptr : table_of.data(),
                                  shape.partitioners, 1});
    owner.firsts = owner.distinct.blocks;
  }
  owner.rows = {stream, owner.firsts.back()};
  for (std::size_t t = 0; t < tables.size(); ++t) {
    tables[t]->find(stream, keys_of(owner, t), owner.rows.data() + owner.firsts[t]);
  }
}

template <>
void read_rows(Stream<Cpu>& stream, const LookupShape& shape,
               const std::vector<Table<Cpu>*>& tables, bool inference, OwnerState<Cpu>& owner) {
  owner.bases.assign(1, 0);
  for (std::size_t t = 0; t < tables.size(); ++t) {
    owner.bases.push_back(owner.bases.back() +
                          (owner.firsts[t + 1] - owner.firsts[t]) * shape.dims[t]);
  }
  owner.values = {stream, owner.bases.back()};
  for (std::size_t t = 0; t < tables.size(); ++t) {
    tables[t]->read(stream, keys_of(owner, t), owner.rows.data() + owner.firsts[t], inference,
                    owner.values.data() + owner.bases[t]);
  }
}

template <>
bool pools_in_place(const LookupShape& shape, const AskerState<Cpu>& asker) {
  return shape.ranks == 1 && shape.kept_floats == 0 && asker.parts.parts.empty();
}

template <>
Buffer<const float*, Cpu> locate_rows(Stream<Cpu>& stream, const std::vector<Table<Cpu>*>& tables,
                                      bool inference, OwnerState<Cpu>& owner) {
  Buffer<const float*, Cpu> places(stream, owner.rows.size());
  for (std::size_t t = 0; t < tables.size(); ++t) {
    owner.absent.push_back(tables[t]->locate(stream, keys_of(owner, t),
                                             owner.rows.data() + owner.firsts[t], inference,
                                             places.data() + owner.firsts[t]));
  }
  return places;
}

template <>
Buffer<float, Cpu> answer_keys(Stream<Cpu>& stream, const LookupShape& shape,
                               OwnerState<Cpu>& owner) {
  owner.answers = BlockLayout(answer_sizes(shape, owner), shape.ranks);
  if (shape.ranks == 1 && owner.parts.parts.empty()) {
    return std::move(
        owner.values);  // rows of distinct keys, table after table: the answer as it stands
  }
  Buffer<float, Cpu> answers(stream, owner.answers.size());
  for (std::size_t block = 0; block + 1 < owner.blocks.size(); ++block) {
    if (owner.reduced[block] != 0) {
      continue;
    }
    const auto table = block % static_cast<std::size_t>(shape.tables());
    const std::int64_t dim = shape.dims[table], first = owner.blocks[block];
    const float* values = owner.values.data() + owner.bases[table];
    float* out = answers.data() + owner.answers.bases[block];
    for_each(stream, owner.blocks[block + 1] - first, [&](std::int64_t i) {
      const std::int64_t key = shape.ranks == 1 ? first + i : owner.distinct.inverse[first + i];
      std::copy_n(values + (key - owner.firsts[table]) * dim, dim, out + i * dim);
    });
  }
  reduce_parts(stream, shape, owner, answers.data());
  return answers;
}

template <>
void plan_received(const LookupShape& shape, const OwnerState<Cpu>& owner,
                   ReceivedGradients<Cpu>& gradients) {
  std::vector<std::int64_t> sizes(owner.blocks.size() - 1);
  gradients.partials.resize(static_cast<std::size_t>(owner.blocks.back()));
  std::int64_t place = 0;
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    const std::int64_t start = place;
    const std::int64_t dim = shape.dims[block % static_cast<std::size_t>(shape.tables())];
    for (auto j = static_cast<std::size_t>(owner.blocks[block]);
         j < static_cast<std::size_t>(owner.blocks[block + 1]); ++j) {
      if (owner.reduced[block] != 0) {
        gradients.masks[j] = 0;
      }
      gradients.partials[j] = place;
      place += dim * std::popcount(gradients.masks[j]);
    }
    if (owner.reduced[block] != 0) {
      place += owner.parts.back_floats[block];
    }
    sizes[block] = place - start;
  }
  gradients.layout = BlockLayout(sizes, shape.ranks);
}

namespace {

/// The distinct keys of a table with their rows and occurrences, without sums.
RowGradients<Cpu> gradients_of_table(Stream<Cpu>& stream, const OwnerState<Cpu>& owner,
                                     const std::vector<std::uint32_t>& counts, std::size_t table) {
  const std::int64_t begin = owner.firsts[table], end = owner.firsts[table + 1];
  const Span<const Key> keys = keys_of(owner, table);
  RowGradients<Cpu> result{{stream, end - begin},
                           {stream, end - begin},
                           {},
                           0,
                           sum_counts(stream, owner, counts, begin, end)};
  for_each(stream, end - begin, [&](std::int64_t d) {
    result.keys[d] = keys[static_cast<std::size_t>(d)];
    result.rows[d] = owner.rows[begin + d];
  });
  return result;
}

}  // namespace

template <>
void keep_gradients(Stream<Cpu>& stream, const LookupShape& shape,
                    const std::vector<Table<Cpu>*>& tables, const OwnerState<Cpu>& owner,
                    GradientMessage<Cpu> message) {
  const auto floats = std::make_shared<Buffer<float, Cpu>>(std::move(message.floats));
  std::int64_t first = 0;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    RowGradients<Cpu> sums = gradients_of_table(stream, owner, message.counts, t);
    sums.floats = floats;
    sums.first = std::exchange(first, first + sums.size() * shape.dims[t]);
    tables[t]->add(std::move(sums));
  }
}

template <>
void fold_gradients(Stream<Cpu>& stream, const LookupShape& shape,
                    const std::vector<Table<Cpu>*>& tables, const OwnerState<Cpu>& owner,
                    const ReceivedGradients<Cpu>& gradients) {
  const Terms terms = group_terms(stream, owner, gradients.layout);
  const std::vector<std::vector<GradientColumn>> columns = back_columns(shape);
  const std::vector<std::uint16_t> ranks = ranks_of(shape, owner.blocks);
  const std::vector<std::uint16_t> nodes = slice_nodes(shape.ranks, gradients.slices);
  const bool one_rank = shape.ranks == 1;

  for (std::size_t t = 0; t < tables.size(); ++t) {
    const std::int64_t begin = owner.firsts[t], end = owner.firsts[t + 1];
    RowGradients<Cpu> sums = gradients_of_table(stream, owner, gradients.counts, t);
    sums.floats = std::make_shared<Buffer<float, Cpu>>(stream, sums.size() * shape.dims[t]);
    std::int64_t offset = 0;
    for (std::size_t g = 0; g < shape.table_dims[t].size(); ++g) {
      const FoldKey<kColumns> functor{one_rank ? nullptr : owner.distinct.offsets.data(),
                                      one_rank ? nullptr : owner.distinct.occurrences.data(),
                                      ranks.data(),
                                      gradients.masks.data(),
                                      gradients.partials.data(),
                                      nodes.data(),
                                      terms.offsets.empty() ? nullptr : terms.offsets.data(),
                                      terms.terms.data(),
                                      gradients.floats.data(),
                                      columns[g].data(),
                                      owner.values.data() + owner.bases[t],
                                      begin,
                                      shape.dims[t],
                                      offset,
                                      shape.table_dims[t][g],
                                      sums.values()};
      for_each(stream, end - begin, [&](std::int64_t d) { functor(begin + d, Solo{}); });
      offset += shape.table_dims[t][g];
    }
    tables[t]->add(std::move(sums));
  }
}

}  // namespace keyshard
