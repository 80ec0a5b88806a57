// What the layers share: their options, the ids that they take, and what a call returns. A layer
// reads one table, which has one column group; layers over one TableSet may share a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "embedding/lookup/lookup.hpp"
#include "embedding/rows/table_options.hpp"
#include "embedding/rows/table_set.hpp"

namespace keyshard {

/// Options of `Embedding` and `SquashedEmbedding`, with the names of the API. A layer with an
/// option that is part of the API but not of this version throws Error{not_built} when it is made.
struct LayerOptions {
  std::int64_t embedding_size = 0;  ///< D >= 1
  std::string name;                 ///< of the layer and its table: unique, not empty, without "/"
  std::string share;                ///< the name of an existing table to read; empty: a new table
  std::string combiner = "sum";     ///< SquashedEmbedding: a name of rules/combiners.hpp
  Initializer initializer = Normal{};
  std::vector<float> constant;  ///< a constant per column [D], instead of `initializer`
  Optimizer optimizer = Sgd{};
  Regularization regularization;
  std::string partitioner = "hash";
  std::int64_t init_capacity = 0;     ///< rows to make room for, over all ranks
  std::optional<std::uint64_t> seed;  ///< of the table; by default a hash of its name
  Missing missing = Missing::initial;
  ExchangeMode exchange = ExchangeMode::rows;
  PoolOrder pool_order = PoolOrder::bag;
  bool trainable = true;  ///< false: backward changes nothing
  /// SquashedEmbedding: what a bag with no ids gives: "zeros", or "tf": what TensorFlow reduces it
  /// to. Either way the bag has no gradient.
  std::string empty_bag = "zeros";

  // Only the default, or what is named beside it, is built in this version.
  std::string key_dtype = "int64";  ///< "int64" or "uint64": the same 64 bits
  std::string value_dtype = "float32";
  std::string dtype_policy = "float32";
  std::string restrict_policy;
  std::string kv_creator;  ///< "" or "host"
  std::vector<std::string> devices;
  std::optional<double> max_norm;
  bool bp_v2 = false;
};

/// Throws Error{invalid_argument} or Error{not_built} naming the option, its value and what is
/// allowed.
void check(const LayerOptions& options);

/// Ids as a rectangle with any number of axes, row-major; or as lists, where list i is
/// values[offsets[i]] .. values[offsets[i + 1]], `offsets` has one element more than lists, and
/// `shape` is empty. Borrowed; ids and offsets lie on the device of the layer.
struct IdsView {
  Span<const Key> values;
  std::vector<std::int64_t> shape;
  Span<const std::int64_t> offsets;

  bool ragged() const { return !offsets.empty(); }
};

/// Which slices of the global batch the samples (the first axis) of a call belong to. A call
/// without a SliceLayout takes the batch of a rank as one slice, numbered by the rank; results then
/// depend on the number of ranks.
struct SliceLayout {
  std::int64_t slices = 1;            ///< of the global batch
  Range run;                          ///< slices of this rank: run_of(rank, ranks, slices)
  std::vector<std::int64_t> offsets;  ///< [run.size() + 1] in samples
};

/// What a call returns: numbers, their shape, and what backward needs.
template <Backend B>
struct LayerOutput {
  Buffer<float, B> values;  ///< row-major
  std::vector<std::int64_t> shape;
  LookupTrace<B> trace;
  std::vector<Buffer<float, B>>
      stages;  ///< inputs of the reductions after the pooling of bags, in order
  std::vector<std::vector<std::int64_t>> stage_shapes;  ///< {B, n, columns} of each stage
};

/// Makes the table of a layer, or finds the table that the layer shares; `tables` owns it. Throws
/// as check(LayerOptions) and TableSet::create, and Error{invalid_argument} where a shared table
/// does not exist or has another dim.
template <Backend B>
Table<B>& layer_table(TableSet<B>& tables, const LayerOptions& options);

}  // namespace keyshard
