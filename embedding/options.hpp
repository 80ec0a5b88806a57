// What a table of embeddings is made of, and how features look it up. Read from [embedding] and
// [tables.NAME] of a configuration, or filled in by a program. A bad option is refused when the
// table is made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/combiner.hpp"
#include "embedding/initializer.hpp"
#include "embedding/optimizer.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

/// A column group: some columns of a row, with their own initial values and optimizer.
struct GroupOptions {
  std::string name;
  std::int64_t dim = 0;
  Initializer initializer = Normal{};
  std::vector<float>
      constant;  ///< a constant per column [dim]; stands in for `initializer` where it is not empty
  Optimizer optimizer = Sgd{};
  Regularization regularization;
};

/// How an owner answers: a row per distinct key, or its part of each bag; automatic counts the
/// bytes of both.
enum class ExchangeMode { rows, reduced, automatic };

/// The order in which a bag is added: as the bag stands, or by shard (which `reduced` and
/// `automatic` need).
enum class PoolOrder { bag, shard };

/// What an absent key reads as in inference; in training it always reads as its initial value.
enum class Missing { initial, zeros };

struct TableOptions {
  std::string name;  ///< unique in a job, without "/": the path in a checkpoint
  std::vector<GroupOptions> groups;
  std::string partitioner = "hash";  ///< or "modulo"
  std::uint64_t seed = 0;            ///< of initial values
  ExchangeMode exchange = ExchangeMode::rows;
  PoolOrder pool_order = PoolOrder::bag;
  Missing missing = Missing::initial;
  std::int64_t init_capacity = 0;  ///< rows to make room for, over all ranks

  std::int64_t dim() const;  ///< of all groups together
};

/// A feature (a column of ids) and the table it reads, with a combiner per column group of that
/// table.
struct FeatureOptions {
  std::string name;
  int table = 0;
  std::vector<Combiner> combiners;
};

struct EmbeddingOptions {
  std::vector<TableOptions> tables;
  std::vector<FeatureOptions> features;
};

/// Throws Error{invalid_argument} naming table and option where a table cannot be made.
void check(const TableOptions& options);

/// Reads the options of every feature of `features` from the root of a configuration: [embedding]
/// (defaults), [tables.NAME], and the keys `table` and `combiner` of its column in
/// [[data.columns]]. `groups` names the column groups that the model wants: "factor" has the
/// options of [embedding] itself, "linear" those of [embedding.linear] (dim 1, zeros by default).
EmbeddingOptions read_embedding_options(Settings& root, const std::vector<std::string>& features,
                                        const std::vector<std::string>& groups,
                                        std::uint64_t job_seed);

/// Keys of a column of [[data.columns]] that belong to this folder.
const std::vector<std::string>& embedding_column_keys();

Optimizer read_optimizer(Settings settings, const Optimizer& otherwise);

}  // namespace keyshard
