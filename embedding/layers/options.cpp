#include "embedding/layers/options.hpp"

#include <algorithm>

#include "embedding/rules/partitioners.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// What a group takes where nothing is given; empty: what it has already.
struct DefaultTypes {
  std::string initializer;
  std::string optimizer;
};

/// The options of a table before its name and columns are known.
struct Defaults {
  TableOptions table;
  GroupOptions factor;
  GroupOptions linear;
  Combiner factor_combiner = Mean{};
  Combiner linear_combiner = Sum{};
  DefaultTypes factor_types = {"normal", "sgd"};
  DefaultTypes linear_types = {"zeros", "sgd"};
};

/// The initializers whose spread follows the number of columns: variance_scaling and its named
/// forms.
Initializer read_scaled(Settings& settings, const std::string& type, std::int64_t dim) {
  const bool he = type.starts_with("he"), glorot = type.starts_with("glorot"),
             scaling = type == "variance_scaling";
  const double scale = settings.number("scale", he ? 2 : 1, 0);
  const std::string fan = scaling
                              ? settings.choice("mode", "fan_in", {"fan_in", "fan_out", "fan_avg"})
                          : glorot ? "fan_avg"
                                   : "fan_in";
  const std::string shape =
      scaling                     ? settings.choice("distribution", "truncated_normal",
                                                    {"truncated_normal", "untruncated_normal", "uniform"})
      : type.ends_with("uniform") ? "uniform"
                                  : "truncated_normal";
  return variance_scaling(scale,
                          fan == "fan_in"    ? Fan::in
                          : fan == "fan_out" ? Fan::out
                                             : Fan::average,
                          shape == "uniform"            ? Distribution::uniform
                          : shape == "truncated_normal" ? Distribution::truncated_normal
                                                        : Distribution::normal,
                          dim);
}

const std::vector<std::string>& initializer_types() {
  static const std::vector<std::string> kTypes{"zeros",
                                               "ones",
                                               "constant",
                                               "normal",
                                               "uniform",
                                               "truncated_normal",
                                               "variance_scaling",
                                               "glorot_normal",
                                               "glorot_uniform",
                                               "he_normal",
                                               "he_uniform",
                                               "lecun_normal",
                                               "lecun_uniform"};
  return kTypes;
}

Initializer read_initializer(Settings settings, const GroupOptions& otherwise,
                             std::vector<float>& constant) {
  if (!settings.has("type")) {
    settings.finish();
    return otherwise.initializer;
  }
  constant.clear();
  const std::string type = settings.choice("type", "normal", initializer_types());
  const auto real = [&](const char* key, double value) {
    return static_cast<float>(settings.number(key, value));
  };
  Initializer result;
  if (type == "zeros" || type == "ones") {
    result = Constant{type == "ones" ? 1.0f : 0.0f};
  } else if (type == "constant" && settings.has("values")) {
    for (const double value : settings.numbers("values")) {
      constant.push_back(static_cast<float>(value));
    }
  } else if (type == "constant") {
    result = Constant{real("value", 0)};
  } else if (type == "normal") {
    result = Normal{real("mean", 0), real("stddev", 0.05)};
  } else if (type == "truncated_normal") {
    result = TruncatedNormal{real("mean", 0), real("stddev", 0.05)};
  } else if (type == "uniform") {
    result = Uniform{real("low", -0.05), real("high", 0.05)};
  } else {
    result = read_scaled(settings, type, otherwise.dim);
  }
  settings.finish();
  return result;
}

Combiner read_combiner(Settings& settings, const Combiner& otherwise) {
  try {
    return combiner_of(settings.text("combiner", name_of(otherwise)));
  } catch (const Error& error) {
    settings.problem("combiner", error.text());
    return otherwise;
  }
}

/// Refuses the keys of the contract that are not built.
void refuse(Settings& settings, const std::vector<std::string>& later) {
  for (const std::string& key : later) {
    if (settings.has(key)) {
      settings.problem(key, fmt::format("{} is not built in this version", key));
    }
  }
}

/// The optimizer's type; empty where it is none that is built, which is said. Its other keys have
/// no meaning then.
std::string read_optimizer_type(Settings& settings) {
  static const std::vector<std::string> kTypes{"sgd",  "momentum", "adagrad", "rowwise_adagrad",
                                               "adam", "ftrl"};
  static const std::vector<std::string> kLater{
      "adagrad_da", "adadelta",     "amsgrad",          "adamw", "adamax", "nadam",
      "rmsprop",    "proximal_sgd", "proximal_adagrad", "lamb"};
  const std::string type = settings.text("type", "");
  if (std::find(kLater.begin(), kLater.end(), type) != kLater.end()) {
    settings.problem(
        "type", fmt::format("optimizer \"{}\" is not built in this version; built are {}", type,
                            fmt::join(kTypes, ", ")));
    return "";
  }
  if (type == "nesterov") {
    settings.problem("type",
                     "expected type = \"momentum\" with nesterov = true: found \"nesterov\"");
    return "";
  }
  return settings.choice("type", "", kTypes);
}

Optimizer make_optimizer(Settings& settings, const std::string& type) {
  const auto real = [&](const char* key, double value, double least) {
    return static_cast<float>(settings.number(key, value, least));
  };
  Optimizer result = Sgd{};
  if (type == "sgd") {
    result = Sgd{real("learning_rate", 0.01, 0)};
  } else if (type == "momentum") {
    result = Momentum{real("learning_rate", 0.01, 0), real("momentum", 0.9, 0),
                      settings.flag("nesterov", false)};
  } else if (type == "adagrad") {
    result = Adagrad{real("learning_rate", 0.001, 0), real("initial_accumulator", 0.1, 0),
                     real("epsilon", 1e-7, 0)};
  } else if (type == "rowwise_adagrad") {
    result = RowwiseAdagrad{real("learning_rate", 0.01, 0), real("initial_accumulator", 0, 0),
                            real("epsilon", 1e-8, 0)};
  } else if (type == "adam") {
    refuse(settings, {"amsgrad"});
    result = Adam{real("learning_rate", 0.001, 0), settings.number("beta_1", 0.9, 0, 1),
                  settings.number("beta_2", 0.999, 0, 1), real("epsilon", 1e-7, 0)};
  } else {
    result = Ftrl{real("learning_rate", 0.001, 0),
                  static_cast<float>(settings.number("learning_rate_power", -0.5, -10, 0)),
                  real("initial_accumulator", 0.1, 0),
                  real("l1", 0, 0),
                  real("l2", 0, 0),
                  real("l2_shrinkage", 0, 0),
                  real("beta", 0, 0)};
  }
  return result;
}

void read_group(Settings& settings, const DefaultTypes& types, GroupOptions& group,
                Combiner& combiner) {
  group.initializer =
      read_initializer(settings.table("initializer", types.initializer), group, group.constant);
  group.optimizer = read_optimizer(settings.table("optimizer", types.optimizer), group.optimizer);
  combiner = read_combiner(settings, combiner);
  Regularization& shrink = group.regularization;
  shrink.l2 = static_cast<float>(settings.number("l2", shrink.l2, 0));
  shrink.l2_per_occurrence =
      settings.choice("l2_per", shrink.l2_per_occurrence ? "occurrence" : "step",
                      {"step", "occurrence"}) == "occurrence";
  shrink.weight_decay = static_cast<float>(settings.number("weight_decay", shrink.weight_decay, 0));
}

/// What the contract has for one use of a table; columns may say these too.
const std::vector<std::string>& later_of_a_layer() {
  static const std::vector<std::string> kKeys{"mask",       "padding_id",           "id_weights",
                                              "trainable",  "activity_regularizer", "nslots",
                                              "slot_map_fn"};
  return kKeys;
}

void refuse_later(Settings& settings) {
  refuse(settings, later_of_a_layer());
  refuse(settings, {"seed", "max_norm", "bp_v2", "restrict_policy", "max_rows", "admit_after",
                    "kv_creator", "devices", "keep_distribution", "key_dtype", "value_dtype",
                    "dtype_policy", "empty_bag", "clip_value", "clip_norm"});
}

void read_table(Settings& settings, Defaults& d) {
  refuse_later(settings);
  d.factor.dim = settings.integer("dim", d.factor.dim, 1, kMaxDim);
  read_group(settings, d.factor_types, d.factor, d.factor_combiner);
  Settings linear = settings.table("linear");
  refuse_later(linear);
  read_group(linear, d.linear_types, d.linear, d.linear_combiner);
  linear.finish();
  TableOptions& table = d.table;
  table.partitioner = settings.choice("partitioner", table.partitioner, {"hash", "modulo"});
  table.exchange = settings.option("exchange", table.exchange, {"rows", "reduced", "auto"});
  table.pool_order = settings.option("pool_order", table.pool_order, {"bag", "shard"});
  table.missing = settings.option("missing", table.missing, {"initial", "zeros"});
  table.init_capacity = settings.integer("init_capacity", table.init_capacity, 0);
  if (table.exchange != ExchangeMode::rows && table.pool_order == PoolOrder::bag) {
    settings.problem(
        "exchange", "exchange \"reduced\" and \"auto\" need pool_order = \"shard\": found \"bag\"");
  }
}

/// What [embedding] says.
Defaults read_defaults(Settings& root) {
  Defaults defaults;
  defaults.factor.dim = 16;
  defaults.linear.dim = 1;
  Settings embedding = root.table("embedding");
  read_table(embedding, defaults);
  embedding.finish();
  defaults.factor_types = defaults.linear_types = {};
  return defaults;
}

/// What [tables.NAME] changes.
struct Override {
  std::string name;
  Defaults options;
  bool used = false;
};

std::vector<Override> read_overrides(Settings& root, const Defaults& defaults) {
  std::vector<Override> overrides;
  for (auto& [name, settings] : root.named_tables("tables")) {
    Override own{name, defaults};
    read_table(settings, own.options);
    settings.finish();
    overrides.push_back(std::move(own));
  }
  return overrides;
}

/// A column of [[data.columns]].
struct Column {
  std::string name;
  Settings settings;
};

std::vector<Column> read_columns(Settings& root) {
  std::vector<Column> columns;
  for (Settings& column : root.table("data").tables("columns")) {
    std::string name = column.text("name", "");
    refuse(column, later_of_a_layer());
    columns.push_back({std::move(name), column});
  }
  return columns;
}

template <class Named>
Named* find_named(std::vector<Named>& all, const std::string& name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

TableOptions make_table(const std::string& name, const Defaults& d,
                        const std::vector<std::string>& groups, std::uint64_t job_seed) {
  TableOptions table = d.table;
  table.name = name;
  table.seed = hash_bytes(name, job_seed);
  for (const std::string& group : groups) {
    table.groups.push_back(group == "linear" ? d.linear : d.factor);
    table.groups.back().name = group;
  }
  return table;
}

void read_combiners(Settings& column, const Defaults& d, const std::vector<std::string>& groups,
                    FeatureOptions& out) {
  const Combiner factor = read_combiner(column, d.factor_combiner);
  for (const std::string& group : groups) {
    out.combiners.push_back(group == "linear" ? d.linear_combiner : factor);
  }
}

}  // namespace

Optimizer read_optimizer(Settings settings, const Optimizer& otherwise) {
  if (!settings.has("type")) {
    settings.finish();
    return otherwise;
  }
  const std::string type = read_optimizer_type(settings);
  if (type.empty()) {
    return otherwise;
  }
  const Optimizer result = make_optimizer(settings, type);
  settings.finish();
  return result;
}

const std::vector<std::string>& embedding_column_keys() {
  static const std::vector<std::string> kKeys = [] {
    std::vector<std::string> keys{"table", "combiner"};
    keys.insert(keys.end(), later_of_a_layer().begin(), later_of_a_layer().end());
    return keys;
  }();
  return kKeys;
}

EmbeddingOptions read_embedding_options(Settings& root, const std::vector<std::string>& features,
                                        const std::vector<std::string>& groups,
                                        std::uint64_t job_seed) {
  const Defaults defaults = read_defaults(root);
  std::vector<Override> overrides = read_overrides(root, defaults);
  std::vector<Column> columns = read_columns(root);

  EmbeddingOptions options;
  const SettingValue nothing{SettingValue::Table{}, ""};
  for (const std::string& feature : features) {
    Column* column = find_named(columns, feature);
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
      table = &options.tables.emplace_back(make_table(name, of_table, groups, job_seed));
    }
    FeatureOptions& out = options.features.emplace_back();
    out.name = feature;
    out.table = static_cast<int>(table - options.tables.data());
    read_combiners(settings, of_table, groups, out);
  }
  for (const Override& own : overrides) {
    if (!own.used) {
      root.problem("tables", "no feature reads the table \"" + own.name + "\"");
    }
  }
  return options;
}

}  // namespace keyshard
