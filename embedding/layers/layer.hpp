// The options that the layers share. A layer reads one table, which has one column group; layers
// over one TableSet may share a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "embedding/layers/activity_options.hpp"
#include "embedding/rows/table_options.hpp"
#include "embedding/rows/table_set.hpp"
#include "embedding/rules/combiners.hpp"
#include "embedding/stores/kv_creator.hpp"

namespace keyshard {

/// Options of the layers, with the names of the API. A layer with an option that is part of the API
/// but not of this version throws Error{not_built} when it is made.
struct LayerOptions {
  std::int64_t embedding_size = 0;  ///< D >= 1
  std::string name;   ///< of the layer and its table: unique in its scope (name_scopes.hpp),
                      ///< not empty, without "/"
  std::string share;  ///< the name of an existing table to read, of this scope or an outer one;
                      ///< empty: a new table
  RuleChoice<OwnCombiner> combiner = "sum";  ///< a name of rules/combiners.hpp or a registered one,
                                             ///< or an own_combiner; `Embedding` has no use of it
  Initializer initializer = Normal{};
  std::vector<double> constant;  ///< a constant per column [D], instead of `initializer`
  Optimizer optimizer = Sgd{};
  Regularization regularization;
  PartitionerChoice partitioner = "hash";
  std::optional<double> max_norm;         ///< > 0: the norm that a row has at most
  bool bp_v2 = false;                     ///< as TableOptions::bp_v2
  std::int64_t init_capacity = 0;         ///< rows to make room for, over all ranks
  std::optional<std::uint64_t> seed;      ///< by default a hash of TableSet::seed and the path
  RuleChoice<OwnPolicy> restrict_policy;  ///< a name of rules/policies.hpp or a registered one, or
                                          ///< an own_policy; empty: no row leaves
  std::int64_t max_rows = 0;              ///< over all ranks, by `restrict_policy`; 0: no limit
  std::int64_t restrict_every = 1000;     ///< steps from one restriction to the next
  std::int64_t admit_after = 0;           ///< as in TableOptions
  double admit_probability = 1;           ///< as in TableOptions
  Missing missing = Missing::initial;
  ExchangeMode exchange = ExchangeMode::rows;
  PoolOrder pool_order = PoolOrder::bag;
  bool trainable = true;  ///< false: backward changes nothing
  /// Of ids: int64, uint64, int32, uint32, or string. Ids of another dtype are refused
  /// (ids_view.hpp).
  std::string key_dtype = "int64";
  /// SquashedEmbedding: what a bag with no ids gives: "zeros", or "tf": what TensorFlow reduces it
  /// to. Either way the bag has no gradient.
  std::string empty_bag = "zeros";
  std::optional<Key> padding_id;  ///< ids that are in no bag
  std::optional<ActivityOptions> activity_regularizer;
  std::vector<std::string> devices;  ///< owners of the shards, "cpu:RANK" each; none: all ranks
  bool keep_distribution = false;    ///< whether get_config keeps `devices`
  std::string distribute_strategy;   ///< always empty: a name of tf.distribute is refused

  /// Of stored rows: float32, float16, bfloat16 or float64, or int8, int32 or int64 with trainable
  /// = false, in an `Embedding` alone: rows of integers are only looked up.
  std::string value_dtype = "float32";
  /// "" means value_dtype. Outputs and upstream gradients are those of the compute dtype of the
  /// policy (dtype_policy.hpp): 16-bit floats stand in arrays of floats.
  std::string dtype_policy;

  KvCreator kv_creator;  ///< where the rows of the table live
};

/// The options with the rules themselves where they name registered rules of the program.
LayerOptions with_rules(const LayerOptions& options, const OwnRules& own);

/// The combiner of the options. Throws Error{invalid_argument} for an unknown name.
AnyCombiner layer_combiner(const LayerOptions& options);

/// Throws Error{invalid_argument} or Error{not_built} naming the option, its value and what is
/// allowed.
void check(const LayerOptions& options);

/// The policy that the options name.
RestrictPolicy restrict_policy_of(const LayerOptions& options);

/// Makes the table of a layer, or finds the table that the layer shares; `tables` owns it. Throws
/// as check(LayerOptions) and TableSet::create, and Error{invalid_argument} where a shared table
/// does not exist or has another dim, where a layer of that name exists, or where `devices` are not
/// those of the job.
template <Backend B>
Table<B>& layer_table(TableSet<B>& tables, const LayerOptions& options);

}  // namespace keyshard
