// The options of an embedding table. Filled in by a program, or read from [embedding] and
// [tables.NAME] of a configuration (layers/options.hpp). A bad option is refused when the table is
// made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/rows/value_dtype.hpp"
#include "embedding/rules/initializers.hpp"
#include "embedding/rules/optimizers.hpp"
#include "embedding/rules/partitioners.hpp"
#include "embedding/rules/policies.hpp"
#include "embedding/stores/kv_creator.hpp"
#include "runtime/settings.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {

/// The largest dim of a column group.
inline constexpr std::int64_t kMaxDim = 1 << 16;

/// A column group: some columns of a row, with their own initial values and optimizer.
struct GroupOptions {
  std::string name;
  std::int64_t dim = 0;
  Initializer initializer = Normal{};
  std::vector<double>
      constant;  ///< a constant per column [dim]; stands in for `initializer` where it is not empty
  Optimizer optimizer = Sgd{};
  Regularization regularization;
  double max_norm = 0;  ///< the Euclidean norm that values of a row have at most; 0: no limit. Rows
                        ///< are clipped whenever they are written (rules/max_norm.hpp)
};

/// How an owner answers: with a row per distinct key, or with its pooled part of each bag;
/// `automatic` takes what needs fewer bytes.
enum class ExchangeMode { rows, reduced, automatic };

/// The order in which the rows of a bag are added: the order of the bag, or by (shard, position in
/// the bag), which `reduced` and `automatic` need.
enum class PoolOrder { bag, shard };

/// What an absent key reads as in inference; in training it always reads as its initial value.
enum class Missing { initial, zeros };

/// The names of an option in files, in the order of its enumeration.
const std::vector<std::string>& names_of(ExchangeMode);
const std::vector<std::string>& names_of(PoolOrder);
const std::vector<std::string>& names_of(Missing);

/// The names of Regularization::l2_per_occurrence: false, true.
const std::vector<std::string>& l2_per_names();

/// The name of a value of ExchangeMode, PoolOrder, Missing or ValueDtype.
template <class Option>
const std::string& option_name(Option value) {
  return names_of(value)[static_cast<std::size_t>(value)];
}

struct TableOptions {
  std::string name;  ///< unique in a job: the path in a checkpoint, after the scopes of its layer
  std::vector<GroupOptions> groups;
  ValueDtype value_dtype = ValueDtype::float32;  ///< of the values in the rows
  PartitionerChoice partitioner = "hash";        ///< or "modulo", or one of the program
  std::uint64_t seed = 0;                        ///< of initial values
  ExchangeMode exchange = ExchangeMode::rows;
  PoolOrder pool_order = PoolOrder::bag;
  Missing missing = Missing::initial;
  bool bp_v2 = false;  ///< a step adds to rows as they are, and drops what is meant for a row that
                       ///< came or went since it was read; without another writer there is none
  /// Rows to make room for, over all ranks; in front of a store as many of them as may stay in
  /// memory.
  std::int64_t init_capacity = 0;
  RestrictPolicy restrict_policy = KeepAll{};
  std::int64_t max_rows = 0;           ///< over all ranks, kept by `restrict_every`; 0: no limit
  std::int64_t restrict_every = 1000;  ///< steps from one look at the number of rows to the next
  bool trainable = true;               ///< false: no step changes rows, states, statuses or clocks
  /// The sighting of a key that gives it a row: a sighting is an optimizer step in which the key
  /// has a gradient. 0 and 1: the first one. Until then its gradients are dropped.
  std::int64_t admit_after = 0;
  /// The probability that a sighting gives a key a row, drawn from seed, key and step; above 0.
  double admit_probability = 1;
  KvCreator kv_creator;  ///< where rows live; not host: the table has a store (stored_rows.hpp)
  /// The ranks that own the shards, a run each, in this order (ShardOwners); empty: all ranks.
  /// Results do not depend on it, and a checkpoint loads with others.
  std::vector<std::int64_t> owners;

  std::int64_t dim() const;  ///< of all groups together

  bool admits_some() const { return admit_after > 1 || admit_probability < 1; }
};

/// Reads the key `max_norm` of a column group; `otherwise` where it is not given. Problems are
/// recorded in `settings`.
double read_max_norm(Settings& settings, double otherwise);

/// The options that decide the results of a table, apart from its columns, as a checkpoint keeps
/// them.
SettingValue saved_options(const TableOptions& options);

/// The names of the rules that the program brings along, by the option whose rule they are.
SettingValue own_rule_names(const TableOptions& options);
/// Whether there is one.
bool has_own_rules(const TableOptions& options);

/// The key of `own_rule_names` in `saved_options`, where there are some.
inline constexpr const char* kOwnRules = "own_rules";

/// The key of the value dtype in `saved_options`, where it is not float32.
inline constexpr const char* kValueDtype = "value_dtype";

/// The owners of the shards of a table in a job of so many ranks. Throws Error{invalid_argument}
/// naming the table where `owners` is no list of such ranks, each once.
ShardOwners owners_of(const TableOptions& options, std::int64_t ranks);

/// Throws Error{invalid_argument} naming table and option where a table cannot be made.
void check(const TableOptions& options);

}  // namespace keyshard
