#include "embedding/lookup/shape.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "embedding/lookup/own_pooling.hpp"
#include "runtime/error.hpp"
#include "runtime/runs.hpp"

namespace keyshard {
namespace {

std::int64_t rounded(std::int64_t bytes, std::int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

/// The kind of the combiner whose terms are the upstream gradients.
constexpr CombinerKind kSum = 0;
static_assert(std::is_same_v<std::variant_alternative_t<kSum, Combiner>, Sum>);

/// The terms of a feature that is pooled so.
std::uint8_t terms_of(CombinerKind kind) {
  constexpr CombinerKind kWeightedSum = std::variant_size_v<Combiner>;
  static_assert(
      std::is_same_v<std::variant_alternative_t<kWeightedSum, BagCombiner>, WeightedSum<float>>);
  return kind == kSum ? kUpstreamTerms : kind == kWeightedSum ? kWeightedTerms : kOtherTerms;
}

/// Takes the terms of one more feature; `several` says that others have come before.
void agree(std::uint8_t& all, std::uint8_t terms, bool several) {
  all = several && all != terms ? static_cast<std::uint8_t>(kOtherTerms) : terms;
}

/// Sets the kinds of a group of a feature.
void set_kinds(const FeatureOptions& feature, const AnyCombiner& combiner, FeatureGroup& group) {
  const auto* built_in = std::get_if<Combiner>(&combiner);
  const std::optional<std::size_t> weighted =
      built_in == nullptr ? std::nullopt : weighted_place(*built_in);
  require(!feature.weighted || weighted.has_value(), Kind::invalid_argument,
          "feature {}: expected combiner sum, mean or sqrtn where ids have weights: found {}",
          feature.name, name_of(combiner));
  group.plain_kind = built_in != nullptr ? static_cast<CombinerKind>(built_in->index())
                     : has_state(std::get<OwnCombiner>(combiner)) ? kOwnState
                                                                  : kNoCombiner;
  group.weighted_kind = static_cast<CombinerKind>(weighted.value_or(kNoCombiner));
  group.kind = group.kind_of(feature.weighted);
}

/// Throws where a combiner cannot pool rows of doubles or integers.
void check_other(const FeatureOptions& feature, const TableOptions& table,
                 const AnyCombiner& combiner) {
  const auto* own = std::get_if<OwnCombiner>(&combiner);
  require(
      own == nullptr || is_integer(table.value_dtype) ||
          (own->functions->forward_doubles != nullptr &&
           feature.compute_dtype == ValueDtype::float64),
      Kind::not_built,
      "feature {}: combiner {} of the program: expected one that is built in, or in a layer one "
      "without a state whose functions are templates over BagRowsOf<T>, or value_dtype float32 "
      "of table {}: found {}",
      feature.name, name_of(combiner), table.name, option_name(table.value_dtype));
  const auto* built_in = std::get_if<Combiner>(&combiner);
  require(!is_integer(table.value_dtype) ||
              (built_in != nullptr && std::holds_alternative<Sum>(*built_in) && !feature.weighted),
          Kind::invalid_argument,
          "feature {}: rows of integers are looked up one by one, so a feature of table {} has "
          "combiner sum, no weights, and one id at most in a bag: found {}, value_dtype {}",
          feature.name, table.name, name_of(combiner), option_name(table.value_dtype));
}

/// The bags of a table of doubles are pooled by launches of their own.
void set_double_kind(FeatureGroup& group) {
  group.double_kind = std::exchange(group.kind, kNoCombiner);
  group.plain_kind = group.weighted_kind = kNoCombiner;
}

/// What a combiner needs of messages, per column.
struct StateSizes {
  std::int64_t state;  ///< bytes
  std::int64_t back;   ///< bytes
  std::int64_t alignment;
  bool kept;  ///< backward needs the states of the bags

  explicit StateSizes(const Combiner& combiner)
      : state(state_bytes(combiner)),
        back(back_bytes(combiner)),
        alignment(combiner_alignment(combiner)),
        kept(back_needs_state(combiner)) {}

  explicit StateSizes(const PoolingFunctions& own)
      : state(own.state_bytes), back(own.back_bytes), alignment(own.alignment), kept(true) {}
};

/// The same of any combiner; nothing where it has no state.
std::optional<StateSizes> sizes_of_states(const AnyCombiner& combiner) {
  if (const auto* built_in = std::get_if<Combiner>(&combiner)) {
    return StateSizes(*built_in);
  }
  const PoolingFunctions* own = std::get<OwnCombiner>(combiner).functions->pooling;
  return own == nullptr ? std::nullopt : std::optional(StateSizes(*own));
}

/// Where states and backward messages of a combiner lie.
void place_states(const StateSizes& sizes, FeatureShape& feature, FeatureGroup& group,
                  LookupShape& shape) {
  group.state = feature.state_bytes;
  group.back = feature.back_bytes;
  if (sizes.kept) {
    group.kept = shape.kept_bytes;
    shape.kept_bytes += rounded(group.dim * sizes.state, shape.alignment);
  }
  feature.state_bytes += rounded(group.dim * sizes.state, shape.alignment);
  feature.back_bytes += rounded(group.dim * sizes.back, shape.alignment);
}

/// Where the states of a table of doubles are kept for backward; its rows travel whole.
void place_double_states(const Combiner& combiner, const FeatureShape& feature, FeatureGroup& group,
                         LookupShape& shape) {
  group.state = feature.state_bytes;
  group.back = feature.back_bytes;
  if (back_needs_state(combiner)) {
    group.kept = shape.kept_bytes;
    shape.kept_bytes +=
        rounded(numbers_in<double>(group.dim) * double_state_bytes(combiner), shape.alignment);
  }
}

/// Where the gradients of a combiner of the program lie, which starts at `column` of those of an
/// id. Where it has no state, its table answers with rows.
void place_own(const FeatureOptions& feature, const TableOptions& table,
               const OwnCombiner& combiner, std::int64_t column, FeatureGroup& group,
               LookupShape& shape) {
  if (!has_state(combiner)) {
    require(table.exchange != ExchangeMode::reduced, Kind::invalid_argument,
            "feature {}: combiner {} of the program has no state that owners could reduce; give "
            "table {} exchange \"rows\", or \"auto\", which then takes rows, or make the combiner "
            "of a struct with a state (own_state_combiner)",
            feature.name, rule_name(combiner), table.name);
    shape.modes[static_cast<std::size_t>(feature.table)] = ExchangeMode::rows;
  }
  group.own = static_cast<std::int32_t>(shape.own_combiners.size());
  require(column <= std::numeric_limits<std::int32_t>::max(), Kind::invalid_argument,
          "expected fewer than 2^31 columns that combiners of the program pool: found {}", column);
  group.own_column = static_cast<std::int32_t>(column);
  shape.own_combiners.push_back(combiner);
  shape.own_width = std::max(shape.own_width, column + group.dim);
}

/// Gives a group its columns in the output of the feature: doubles at even places.
void place_columns(const FeatureShape& feature, ValueDtype outputs, FeatureGroup& group,
                   std::int64_t& width) {
  const bool doubles = outputs == ValueDtype::float64;
  width += doubles ? width % 2 : 0;
  group.column = width;
  width += feature.narrows ? numbers_in<double>(group.dim) : group.dim;
}

/// Adds group g of a feature, which its table has. Returns how many columns a combiner of the
/// program pools, which start at `own_column` in the gradients of an id.
std::int64_t add_group(const FeatureOptions& feature, const TableOptions& table, std::size_t g,
                       std::int64_t own_column, std::vector<bool>& has_group, LookupShape& shape) {
  const AnyCombiner& combiner = feature.combiners[g];
  FeatureShape& added = shape.features.back();
  FeatureGroup& group = shape.groups.back();
  set_kinds(feature, combiner, group);
  const std::size_t table_number = static_cast<std::size_t>(feature.table);
  const TableGroup& place = shape.table_groups[table_number * shape.widths.size() + g];
  group.offset = place.offset;
  group.dim = place.dim;
  place_columns(added, feature.compute_dtype, group, shape.widths[g]);
  if (!works_as_float(table.value_dtype)) {
    check_other(feature, table, combiner);
  }
  if (table.value_dtype == ValueDtype::float64) {
    set_double_kind(group);
    if (const auto* own = std::get_if<OwnCombiner>(&combiner)) {
      group.double_kind = kOwnDoubles;
      place_own(feature, table, *own, own_column, group, shape);
      return group.dim;
    }
    place_double_states(std::get<Combiner>(combiner), added, group, shape);
    return 0;
  }
  agree(shape.terms[g], terms_of(group.kind), has_group[g]);
  has_group[g] = true;
  if (const std::optional<StateSizes> sizes = sizes_of_states(combiner)) {
    place_states(*sizes, added, group, shape);
  }
  if (const auto* own = std::get_if<OwnCombiner>(&combiner)) {
    place_own(feature, table, *own, own_column, group, shape);
    return group.dim;
  }
  return 0;
}

/// Adds a feature and its groups to a shape whose `widths` has room for all groups; `has_group`
/// says of each whether a feature has it.
void add_feature(const FeatureOptions& feature, const TableOptions& table,
                 std::vector<bool>& has_group, LookupShape& shape) {
  require(feature.combiners.size() == table.groups.size(), Kind::invalid_argument,
          "feature {}: expected a combiner for each of the {} column groups of table {}: found {}",
          feature.name, table.groups.size(), table.name, feature.combiners.size());
  const ValueDtype dtype = table.value_dtype;
  FeatureShape& added = shape.features.emplace_back();
  added.table = static_cast<std::uint16_t>(feature.table);
  added.by_shard = table.pool_order == PoolOrder::shard;
  added.weighted = feature.weighted;
  added.compute_dtype = feature.compute_dtype;
  added.narrows = dtype == ValueDtype::float64 && feature.compute_dtype != ValueDtype::float64;
  added.row_dim = floats_of(dtype, table.dim());
  added.dealing = shape.owners.dealing(feature.table);
  shape.weighted |= feature.weighted;
  std::int64_t own_column = 0;
  for (std::size_t g = 0; g < shape.widths.size(); ++g) {
    shape.groups.emplace_back();
    if (g < table.groups.size()) {
      own_column += add_group(feature, table, g, own_column, has_group, shape);
    }
  }
}

/// Says what a bag of a feature with no ids gives in each of its groups.
void set_empty(const FeatureOptions& feature, FeatureGroup* groups) {
  for (std::size_t g = 0; g < feature.combiners.size() && feature.empty_bag == EmptyBag::tf; ++g) {
    const auto* built_in = std::get_if<Combiner>(&feature.combiners[g]);
    require(built_in != nullptr, Kind::invalid_argument,
            "feature {}: expected empty_bag \"zeros\" with a combiner of the program, which "
            "TensorFlow does not know: found \"tf\"",
            feature.name);
    groups[g].empty = empty_value(*built_in, EmptyForm::ragged);
  }
}

/// Says who owns the shards of the tables, and which nodes the runs of the owners are made of.
void plan_owners(const std::vector<const TableOptions*>& tables, LookupShape& shape) {
  std::vector<ShardOwners> owners;
  for (const TableOptions* table : tables) {
    owners.push_back(owners_of(*table, shape.ranks));
  }
  shape.owners = TableOwners(owners);
  for (const ShardOwners& dealt : shape.owners.dealings()) {
    for (std::int64_t run = 0; run < dealt.runs(); ++run) {
      for (const Range& node : nodes_of(dealt.shards_of_run(run))) {
        shape.node_of_shard.insert(shape.node_of_shard.end(), static_cast<std::size_t>(node.size()),
                                   static_cast<std::uint16_t>(node.begin));
      }
    }
  }
}

/// What all tables and features decide together: how many groups there are, and the alignment.
void plan_groups(const std::vector<const TableOptions*>& tables,
                 const std::vector<FeatureOptions>& features, LookupShape& shape) {
  for (const FeatureOptions& feature : features) {
    check_table(feature, std::ssize(tables));
    const std::size_t groups = tables[static_cast<std::size_t>(feature.table)]->groups.size();
    shape.widths.resize(std::max(shape.widths.size(), groups), 0);
    for (const AnyCombiner& combiner : feature.combiners) {
      if (const std::optional<StateSizes> sizes = sizes_of_states(combiner)) {
        shape.alignment = std::max(shape.alignment, sizes->alignment);
      }
    }
  }
  shape.terms.assign(shape.widths.size(), kUpstreamTerms);
  for (const TableOptions* table : tables) {
    if (table->value_dtype == ValueDtype::float64) {
      shape.alignment = std::max<std::int64_t>(shape.alignment, alignof(double));
    }
  }
  for (const TableOptions* table : tables) {
    std::int64_t offset = 0;
    for (std::size_t g = 0; g < shape.widths.size(); ++g) {
      const std::int64_t dim =
          g < table->groups.size() ? floats_of(table->value_dtype, table->groups[g].dim) : 0;
      shape.table_groups.push_back({offset, dim});
      offset += dim;
    }
  }
}

}  // namespace

bool LookupShape::uniform() const {
  return std::all_of(dims.begin(), dims.end(),
                     [&](std::int64_t dim) { return dim == dims.front(); });
}

bool LookupShape::all_frozen() const {
  return std::find(frozen.begin(), frozen.end(), 0) == frozen.end();
}

bool LookupShape::any_short() const {
  return std::any_of(dtypes.begin(), dtypes.end(),
                     [](ValueDtype dtype) { return is_short(dtype); });
}

bool LookupShape::any_double() const {
  return std::find(dtypes.begin(), dtypes.end(), ValueDtype::float64) != dtypes.end();
}

bool LookupShape::any_integer() const {
  return std::any_of(dtypes.begin(), dtypes.end(),
                     [](ValueDtype dtype) { return is_integer(dtype); });
}

bool LookupShape::delivers_doubles() const {
  return std::any_of(features.begin(), features.end(), [](const FeatureShape& feature) {
    return feature.compute_dtype == ValueDtype::float64;
  });
}

bool LookupShape::rounds_outputs() const {
  return std::any_of(features.begin(), features.end(),
                     [](const FeatureShape& feature) { return is_short(feature.compute_dtype); });
}

bool LookupShape::fills_empty() const {
  return std::any_of(groups.begin(), groups.end(),
                     [](const FeatureGroup& group) { return group.empty != 0; });
}

bool LookupShape::any_by_shard() const {
  return std::find(shard_order.begin(), shard_order.end(), true) != shard_order.end();
}

bool LookupShape::any_reducible() const {
  return std::any_of(modes.begin(), modes.end(),
                     [](ExchangeMode mode) { return mode != ExchangeMode::rows; });
}

const std::vector<std::string>& names_of(EmptyBag) {
  static const std::vector<std::string> kNames{"zeros", "tf"};
  return kNames;
}

void check_table(const FeatureOptions& feature, std::int64_t tables) {
  require(feature.table >= 0 && feature.table < tables, Kind::invalid_argument,
          "feature {}: expected a table of 0 to {}: found {}", feature.name, tables - 1,
          feature.table);
}

LookupShape make_lookup_shape(const std::vector<const TableOptions*>& tables,
                              const std::vector<FeatureOptions>& features, std::int64_t ranks) {
  require(!tables.empty() && tables.size() < 65536, Kind::invalid_argument,
          "expected 1 to 65535 tables in a lookup: found {}", tables.size());
  LookupShape shape;
  shape.ranks = ranks;
  for (const TableOptions* table : tables) {
    shape.partitioners.push_back(chosen_partitioner(table->partitioner, table->name));
    shape.dims.push_back(floats_of(table->value_dtype, table->dim()));
    shape.dtypes.push_back(table->value_dtype);
    shape.shard_order.push_back(table->pool_order == PoolOrder::shard);
    shape.modes.push_back(works_as_float(table->value_dtype) ? table->exchange
                                                             : ExchangeMode::rows);
    shape.frozen.push_back(0);
    for (const GroupOptions& group : table->groups) {
      shape.counts_occurrences |=
          group.regularization.l2 > 0 && group.regularization.l2_per_occurrence;
    }
  }
  plan_owners(tables, shape);
  plan_groups(tables, features, shape);
  std::vector<bool> has_group(shape.widths.size());
  for (const FeatureOptions& feature : features) {
    add_feature(feature, *tables[static_cast<std::size_t>(feature.table)], has_group, shape);
    set_empty(feature, shape.groups.data() + shape.groups.size() - shape.widths.size());
  }
  shape.own_width += shape.any_double() ? shape.own_width % 2 : 0;
  for (std::int64_t& width : shape.widths) {
    width += shape.delivers_doubles() ? width % 2 : 0;  // every sample begins at an even place
  }
  return shape;
}

}  // namespace keyshard
