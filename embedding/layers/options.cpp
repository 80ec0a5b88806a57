#include "embedding/layers/options.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "embedding/layers/devices.hpp"
#include "embedding/layers/dtype_options.hpp"
#include "embedding/layers/layer.hpp"
#include "embedding/layers/option_keys.hpp"
#include "embedding/layers/refused_options.hpp"
#include "embedding/rules/combine_weighted.hpp"
#include "embedding/rules/own_rules.hpp"
#include "embedding/rules/partitioners.hpp"
#include "embedding/stores/make_store.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kDefaultDim = 16;

/// A column group, as far as it has been read from a configuration.
struct Group {
  GroupDefaults defaults;  ///< types are empty once [embedding] has been read
  GroupOptions options;
  AnyCombiner combiner;
  ActivityOptions activity = {};
  bool own_optimizer = false;  ///< the table of this group has named one
  bool own_l2 = false;
};

/// The options of a table before its name is known.
struct Defaults {
  TableOptions table;
  std::vector<Group> groups;
  EmptyBag empty_bag = EmptyBag::zeros;  ///< of the features that read the table
  DtypeOptions dtypes;
  std::optional<std::uint64_t> seed;  ///< by default a hash of the name
  std::vector<std::string> devices;   ///< none: all ranks
};

/// What a group of a table of its own, `settings`, takes from the group that stands in `outer`
/// itself, unless a table of this group has said otherwise.
void inherit(const Settings& outer, const GroupOptions& main, Settings& settings, Group& group) {
  group.own_optimizer |= settings.has("optimizer") || !group.defaults.optimizer.empty();
  group.own_l2 |= settings.has("l2") || settings.has("l2_per");
  if (!group.own_optimizer) {
    group.options.optimizer = main.optimizer;
    settings.repeat("optimizer", outer);
  }
  if (!group.own_l2) {
    group.options.regularization.l2 = main.regularization.l2;
    group.options.regularization.l2_per_occurrence = main.regularization.l2_per_occurrence;
  }
}

/// What `activity_regularizer` says, or `otherwise` where it is not given.
ActivityOptions activity_in(Settings& settings, const ActivityOptions& otherwise) {
  return settings.has("activity_regularizer") ? read_activity(settings, false) : otherwise;
}

void read_devices(Settings& settings, std::vector<std::string>& devices) {
  if (!settings.has("devices")) {
    return;
  }
  devices = settings.texts("devices");
  try {
    check_device_names(settings.path(), devices);
  } catch (const Error& error) {
    settings.problem("devices", error.text());
  }
}

void read_group(Settings& settings, const OwnRules& rules, Group& group) {
  settings.describe(group_keys());
  GroupOptions& options = group.options;
  if (group.defaults.dim == 0) {
    options.dim = settings.integer("dim", options.dim, 1, kMaxDim);
  }
  InitialValues initial =
      read_initializer(settings.table("initializer", group.defaults.initializer),
                       {options.initializer, options.constant}, options.dim, rules);
  options.initializer = initial.initializer;
  options.constant = std::move(initial.constant);
  options.optimizer = read_optimizer(settings.table("optimizer", group.defaults.optimizer),
                                     options.optimizer, rules);
  group.combiner = read_combiner(settings, "combiner", group.combiner, rules);
  group.activity = activity_in(settings, group.activity);
  Regularization& shrink = options.regularization;
  shrink.l2 = settings.float_sized("l2", shrink.l2, 0);
  shrink.l2_per_occurrence = settings.option("l2_per", shrink.l2_per_occurrence, l2_per_names());
  shrink.weight_decay = settings.float_sized("weight_decay", shrink.weight_decay, 0);
  shrink.clip_value = settings.float_sized("clip_value", shrink.clip_value, 0);
  shrink.clip_norm = settings.float_sized("clip_norm", shrink.clip_norm, 0);
  options.max_norm = read_max_norm(settings, options.max_norm);
}

void read_restriction(Settings& settings, const OwnRules& rules, TableOptions& table) {
  table.restrict_policy = read_policy(settings, "restrict_policy", table.restrict_policy, rules);
  table.max_rows = settings.integer("max_rows", table.max_rows, 0);
  table.restrict_every = settings.integer("restrict_every", table.restrict_every, 1);
  if (table.max_rows > 0 && !has_status(table.restrict_policy)) {
    settings.problem("max_rows",
                     "max_rows needs restrict_policy = \"timestamp\" or \"frequency\", which says "
                     "which rows stay");
  }
}

void read_admission(Settings& settings, TableOptions& table) {
  table.admit_after = settings.integer("admit_after", table.admit_after, 0);
  table.admit_probability = settings.number("admit_probability", table.admit_probability, 0, 1);
  if (table.admit_probability <= 0) {
    settings.problem("admit_probability", "expected admit_probability above 0: found 0");
  }
  if (table.admit_after > 1 && table.admit_probability < 1) {
    settings.problem("admit_probability", "expected one of admit_after and admit_probability");
  }
}

void read_store(Settings& settings, const OwnRules& rules, TableOptions& table) {
  if (!settings.has("kv_creator")) {
    return;
  }
  table.kv_creator = read_kv_creator(settings.table("kv_creator"), rules);
  const std::string missing = missing_library(table.kv_creator);
  if (!missing.empty()) {
    settings.problem("kv_creator", fmt::format("kv_creator {} is not built: {}",
                                               name_of(table.kv_creator), missing));
  }
}

void check_exchange(Settings& settings, const TableOptions& table) {
  if (table.exchange != ExchangeMode::rows && table.pool_order == PoolOrder::bag) {
    settings.problem(
        "exchange", "exchange \"reduced\" and \"auto\" need pool_order = \"shard\": found \"bag\"");
  }
}

void read_table(Settings& settings, const OwnRules& rules, Defaults& d) {
  settings.describe(table_keys());
  refuse_in_table(settings);
  read_key_dtype(settings);
  read_devices(settings, d.devices);
  const GroupOptions* main = nullptr;
  for (Group& group : d.groups) {
    if (group.defaults.table.empty()) {
      read_group(settings, rules, group);
      main = &group.options;
    } else {
      Settings own = settings.table(group.defaults.table);
      refuse_in_table(own);
      refuse_in_group(own);
      if (main != nullptr) {
        inherit(settings, *main, own, group);
      }
      read_group(own, rules, group);
      own.finish();
    }
  }
  TableOptions& table = d.table;
  table.partitioner = read_partitioner(settings, "partitioner", table.partitioner, rules);
  table.exchange = settings.option("exchange", table.exchange, names_of(table.exchange));
  table.pool_order = settings.option("pool_order", table.pool_order, names_of(table.pool_order));
  table.missing = settings.option("missing", table.missing, names_of(table.missing));
  table.bp_v2 = settings.flag("bp_v2", table.bp_v2);
  table.init_capacity = settings.integer("init_capacity", table.init_capacity, 0);
  table.trainable = settings.flag("trainable", table.trainable);
  read_dtypes(settings, d.table.trainable, d.dtypes);
  d.table.value_dtype = d.dtypes.rows;
  d.empty_bag = settings.option("empty_bag", d.empty_bag, names_of(d.empty_bag));
  read_restriction(settings, rules, table);
  read_admission(settings, table);
  read_store(settings, rules, table);
  check_exchange(settings, table);
}

/// What [embedding] says.
Defaults read_defaults(Settings& root, const std::vector<GroupDefaults>& groups,
                       const OwnRules& rules) {
  Defaults defaults;
  for (const GroupDefaults& group : groups) {
    Group& mine = defaults.groups.emplace_back(Group{group, {}, group.combiner});
    mine.options.name = group.name;
    mine.options.dim = group.dim == 0 ? kDefaultDim : group.dim;
  }
  Settings embedding = root.table("embedding");
  read_table(embedding, rules, defaults);
  refuse_here(embedding, {"seed"},
              "seed in [tables.NAME], or job.seed, from which all tables get seeds of their own");
  refuse_here(embedding, {"pretrained"}, "pretrained in [tables.NAME], for each table has its own");
  embedding.finish();
  for (Group& group : defaults.groups) {
    group.defaults.initializer.clear();
    group.defaults.optimizer.clear();
  }
  return defaults;
}

/// What [tables.NAME] changes.
struct Override {
  std::string name;
  Defaults options;
  bool used = false;
};

std::vector<Override> read_overrides(Settings& root, const Defaults& defaults,
                                     const OwnRules& rules) {
  std::vector<Override> overrides;
  for (auto& [name, settings] : root.named_tables("tables")) {
    Override own{name, defaults};
    read_table(settings, rules, own.options);
    settings.describe(named_table_keys());
    settings.allow("pretrained");  // whoever reads files reads it
    if (settings.has("seed")) {
      own.options.seed = static_cast<std::uint64_t>(settings.integer("seed", 0));
    }
    settings.finish();
    overrides.push_back(std::move(own));
  }
  return overrides;
}

template <class Named>
Named* find_named(std::vector<Named>& all, const std::string& name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

TableOptions make_table(const std::string& name, const Defaults& d, std::uint64_t job_seed) {
  TableOptions table = d.table;
  table.name = name;
  table.seed = d.seed.value_or(hash_bytes(name, job_seed));
  for (const Group& group : d.groups) {
    if (group.defaults.used) {
      table.groups.push_back(group.options);
    }
  }
  return table;
}

/// The combiner of every group of a table for the feature of this column.
std::vector<AnyCombiner> combiners_of(Settings& column, const Defaults& d, const OwnRules& own) {
  std::vector<AnyCombiner> combiners;
  for (const Group& group : d.groups) {
    const AnyCombiner combiner = group.defaults.table.empty()
                                     ? read_combiner(column, "combiner", group.combiner, own)
                                     : group.combiner;
    if (group.defaults.used) {
      combiners.push_back(combiner);
    }
  }
  return combiners;
}

/// The regularizer of every group of a table for the feature of this column.
std::vector<ActivityOptions> activities_of(Settings& column, const Defaults& d) {
  std::vector<ActivityOptions> activities;
  for (const Group& group : d.groups) {
    const ActivityOptions activity =
        group.defaults.table.empty() ? activity_in(column, group.activity) : group.activity;
    if (group.defaults.used) {
      activities.push_back(activity);
    }
  }
  return activities;
}

void refuse_unread(Settings& root, const std::vector<Override>& overrides) {
  for (const Override& own : overrides) {
    if (!own.used) {
      root.problem("tables", "no feature reads the table \"" + own.name + "\"");
    }
  }
}

/// A table is trainable if a feature trains it.
void train_what_is_read(EmbeddingOptions& options) {
  for (TableOptions& table : options.tables) {
    table.trainable = false;
  }
  for (const FeatureOptions& feature : options.features) {
    options.tables[static_cast<std::size_t>(feature.table)].trainable |= feature.trainable;
  }
}

/// The options of a feature in its column; `d` are those of its table.
void read_feature(Settings& column, const Defaults& d, const OwnRules& rules,
                  FeatureOptions& feature) {
  feature.combiners = combiners_of(column, d, rules);
  feature.trainable = column.flag("trainable", d.table.trainable);
  feature.compute_dtype = d.dtypes.outputs;
  feature.empty_bag = column.option("empty_bag", d.empty_bag, names_of(d.empty_bag));
  feature.weighted = column.has("id_weights");
  for (const AnyCombiner& combiner : feature.combiners) {
    if (feature.weighted && !takes_weights(combiner)) {
      column.problem("id_weights",
                     fmt::format("expected combiner sum, mean or sqrtn where ids have weights: "
                                 "found {}",
                                 name_of(combiner)));
    }
  }
}

}  // namespace

const std::vector<std::string>& embedding_column_keys() {
  static const std::vector<std::string> kKeys{
      "table", "combiner", "trainable",  "empty_bag", "activity_regularizer",
      "share", "nslots",   "slot_map_fn"};
  return kKeys;
}

EmbeddingOptions read_embedding_options(Settings& root, const std::vector<std::string>& features,
                                        const std::vector<GroupDefaults>& groups,
                                        std::vector<ColumnSettings> columns, std::uint64_t job_seed,
                                        const OwnRules& rules) {
  const Defaults defaults = read_defaults(root, groups, rules);
  std::vector<Override> overrides = read_overrides(root, defaults, rules);
  for (ColumnSettings& column : columns) {
    column.settings.describe(feature_keys());
    refuse_in_column(column.settings);
  }

  EmbeddingOptions options;
  const SettingValue nothing{SettingValue::Table{}, ""};
  for (const std::string& feature : features) {
    ColumnSettings* column = find_named(columns, feature);
    Settings none(nothing, "", std::make_shared<SettingsReport>());
    Settings& settings = column != nullptr ? column->settings : none;
    const std::string name = settings.text("table", feature);
    Override* own = find_named(overrides, name);
    const Defaults& of_table = own != nullptr ? own->options : defaults;
    if (own != nullptr) {
      own->used = true;
    }
    TableOptions* table = find_named(options.tables, name);
    if (table == nullptr) {
      table = &options.tables.emplace_back(make_table(name, of_table, job_seed));
      options.devices.push_back(of_table.devices);
    }
    FeatureOptions& out = options.features.emplace_back();
    out.name = feature;
    out.table = static_cast<int>(table - options.tables.data());
    read_feature(settings, of_table, rules, out);
    options.activities.push_back(activities_of(settings, of_table));
  }
  train_what_is_read(options);
  refuse_unread(root, overrides);
  return options;
}

}  // namespace keyshard
