// What the layers share: their options, the ids that they take, and what a call returns. A layer
// reads one column group of its own in one table; layers of one name space (TableSet) may share a
// table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "embedding/lookup/lookup.hpp"
#include "embedding/rows/table_options.hpp"
#include "embedding/rows/table_set.hpp"

namespace keyshard {

/// Options of `Embedding` and `SquashedEmbedding`, with the names of the API. Options that are part
/// of the contract but not of this version throw Error{not_built} when the layer is made.
struct LayerOptions {
  std::int64_t embedding_size = 0;  ///< D >= 1
  std::string name;                 ///< of the layer and its table: unique, not empty, without "/"
  std::string share;                ///< reads the table of that name instead of a new one
  std::string combiner = "sum";     ///< SquashedEmbedding: a name of rules/combiners.hpp
  Initializer initializer = Normal{};
  std::vector<float> constant;  ///< a constant per column [D], instead of `initializer`
  Optimizer optimizer = Sgd{};
  Regularization regularization;
  std::string partitioner = "hash";
  std::int64_t init_capacity = 0;     ///< over all ranks
  std::optional<std::uint64_t> seed;  ///< of the table; by default a hash of its name
  Missing missing = Missing::initial;
  ExchangeMode exchange = ExchangeMode::rows;
  PoolOrder pool_order = PoolOrder::bag;
  bool trainable = true;  ///< false: backward changes nothing

  // Not built in this version beyond the value that stands here.
  std::string key_dtype = "int64";  ///< "int64" or "uint64": the same 64 bits
  std::string value_dtype = "float32";
  std::string dtype_policy = "float32";
  std::string empty_bag = "zeros";
  std::string restrict_policy;
  std::string kv_creator;
  std::vector<std::string> devices;
  std::optional<double> max_norm;
  bool bp_v2 = false;
};

/// Throws Error{invalid_argument} or Error{not_built} naming the option, its value and what is
/// allowed.
void check(const LayerOptions& options);

/// Ids as a rectangle of any rank, row-major, or with one ragged axis: `offsets` [lists + 1], shape
/// left empty. Borrowed; ids and offsets lie on the device of the layer.
struct IdsView {
  Span<const Key> values;
  std::vector<std::int64_t> shape;
  Span<const std::int64_t> offsets;

  bool ragged() const { return !offsets.empty(); }
};

/// Which slices of the global batch a call's samples (the first axis) belong to. Without it, a
/// rank's batch is one slice, numbered by the rank, and results depend on the number of ranks.
struct SliceLayout {
  std::int64_t slices = 1;
  Range run;
  std::vector<std::int64_t> offsets;  ///< [run.size() + 1] in samples
};

/// What a call returns: numbers, their shape, and what backward needs.
template <Backend B>
struct LayerOutput {
  Buffer<float, B> values;  ///< row-major
  std::vector<std::int64_t> shape;
  LookupTrace<B> trace;
  std::vector<Buffer<float, B>>
      stages;  ///< inputs of the reductions of axis 1 after the first, in order
  std::vector<std::vector<std::int64_t>> stage_shapes;
};

/// Makes the table of a layer, or finds the one that it shares. Throws Error{invalid_argument}.
template <Backend B>
Table<B>& layer_table(TableSet<B>& tables, const LayerOptions& options);

}  // namespace keyshard
