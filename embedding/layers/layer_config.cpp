#include "embedding/layers/layer_config.hpp"

#include <algorithm>

#include "embedding/rules/own_rules.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

using Entries = SettingValue::Table;

SettingValue text_value(const std::string& text) { return value_of(text); }

/// The text, or null where it is empty.
SettingValue text_or_null(const std::string& text) {
  return text.empty() ? SettingValue() : text_value(text);
}

SettingValue whole_or_null(const std::optional<std::uint64_t>& number) {
  return number ? value_of(static_cast<std::int64_t>(*number)) : SettingValue();
}

/// Throws unless a rule of the program has a name.
template <class Own>
void require_named(const LayerOptions& options, const char* kind, const Own* rule) {
  require(
      rule == nullptr || *rule->name() != '\0', Kind::invalid_argument,
      "layer {}: expected {} that is registered under a name, for get_config: found one without "
      "(kName of its struct)",
      options.name, kind);
}

/// Throws where a configuration cannot say an option.
void require_rules_named(const LayerOptions& options) {
  const auto* adagrad = std::get_if<Adagrad>(&options.optimizer);
  require(adagrad == nullptr || !adagrad->epsilon_outside, Kind::invalid_argument,
          "layer {}: expected an optimizer that a configuration can name: found {} with "
          "epsilon_outside",
          options.name, Adagrad::kName);
  require_named(options, "an optimizer", std::get_if<OwnOptimizer>(&options.optimizer));
  require_named(options, "an initializer", std::get_if<OwnInitializer>(&options.initializer));
  const auto held = [](const auto& choice) { return choice.own ? &*choice.own : nullptr; };
  require_named(options, "a combiner", held(options.combiner));
  require_named(options, "a partitioner", held(options.partitioner));
  require_named(options, "a restrict_policy", held(options.restrict_policy));
  const OwnStoreRows* rows = own_store_rows(options.kv_creator);
  require(rows == nullptr || *rows->name() != '\0', Kind::invalid_argument,
          "layer {}: expected a kv_creator that is registered under a name, for get_config: found "
          "one without (own_store)",
          options.name);
}

/// The options that decide what a row is and how it steps.
void add_row_options(const LayerOptions& options, Entries& table) {
  const Regularization& shrink = options.regularization;
  const FieldWriter write(table);
  table.emplace_back("initializer", initializer_tree({options.initializer, options.constant},
                                                     options.embedding_size));
  table.emplace_back("optimizer", optimizer_tree(options.optimizer));
  write("l2", shrink.l2);
  table.emplace_back("l2_per", text_value(l2_per_names()[shrink.l2_per_occurrence ? 1 : 0]));
  write("weight_decay", shrink.weight_decay);
  write("clip_value", shrink.clip_value);
  write("clip_norm", shrink.clip_norm);
  table.emplace_back("max_norm", options.max_norm ? value_of(*options.max_norm) : SettingValue());
  table.emplace_back("bp_v2", value_of(options.bp_v2));
}

/// The options of the table apart from its rows.
void add_table_options(const LayerOptions& options, Entries& table) {
  table.emplace_back("partitioner", text_value(options.partitioner.name));
  table.emplace_back("init_capacity", value_of(options.init_capacity));
  table.emplace_back("seed", whole_or_null(options.seed));
  table.emplace_back("missing", text_value(option_name(options.missing)));
  table.emplace_back("exchange", text_value(option_name(options.exchange)));
  table.emplace_back("pool_order", text_value(option_name(options.pool_order)));
  table.emplace_back("restrict_policy", text_or_null(options.restrict_policy.name));
  table.emplace_back("max_rows", value_of(options.max_rows));
  table.emplace_back("restrict_every", value_of(options.restrict_every));
  table.emplace_back("admit_after", value_of(options.admit_after));
  table.emplace_back("admit_probability", value_of(options.admit_probability));
  table.emplace_back("kv_creator", kv_creator_tree(options.kv_creator));
  table.emplace_back("devices", options.keep_distribution && !options.devices.empty()
                                    ? value_of(options.devices)
                                    : SettingValue());
  table.emplace_back("keep_distribution", value_of(options.keep_distribution));
}

void read_row_options(Settings& settings, const OwnRules& own, LayerOptions& options) {
  InitialValues initial = read_initializer(settings.table("initializer"), {options.initializer, {}},
                                           options.embedding_size, own);
  options.initializer = initial.initializer;
  options.constant = std::move(initial.constant);
  options.optimizer = read_optimizer(settings.table("optimizer"), options.optimizer, own);
  Regularization& shrink = options.regularization;
  shrink.l2 = settings.float_sized("l2", shrink.l2, 0);
  shrink.l2_per_occurrence = settings.option("l2_per", shrink.l2_per_occurrence, l2_per_names());
  shrink.weight_decay = settings.float_sized("weight_decay", shrink.weight_decay, 0);
  shrink.clip_value = settings.float_sized("clip_value", shrink.clip_value, 0);
  shrink.clip_norm = settings.float_sized("clip_norm", shrink.clip_norm, 0);
  if (settings.has("max_norm")) {
    options.max_norm = read_max_norm(settings, 0);
  }
  options.bp_v2 = settings.flag("bp_v2", options.bp_v2);
}

void read_table_options(Settings& settings, const OwnRules& own, LayerOptions& options) {
  options.partitioner = read_partitioner(settings, "partitioner", options.partitioner, own);
  options.init_capacity = settings.integer("init_capacity", options.init_capacity, 0);
  if (settings.has("seed")) {
    options.seed = static_cast<std::uint64_t>(settings.integer("seed", 0));
  }
  options.missing = settings.option("missing", options.missing, names_of(options.missing));
  options.exchange = settings.option("exchange", options.exchange, names_of(options.exchange));
  options.pool_order =
      settings.option("pool_order", options.pool_order, names_of(options.pool_order));
  options.restrict_policy = settings.text("restrict_policy", "");
  options.max_rows = settings.integer("max_rows", options.max_rows, 0);
  options.restrict_every = settings.integer("restrict_every", options.restrict_every, 1);
  options.admit_after = settings.integer("admit_after", options.admit_after, 0);
  options.admit_probability = settings.number("admit_probability", options.admit_probability, 0, 1);
  options.kv_creator = read_kv_creator(settings.table("kv_creator", HostRows::kName), own);
  options.devices = settings.texts("devices");
  options.keep_distribution = settings.flag("keep_distribution", false);
}

}  // namespace

SettingValue layer_config(const LayerOptions& options) {
  require_rules_named(options);
  Entries table{{"name", text_value(options.name)},
                {"embedding_size", value_of(options.embedding_size)},
                {"key_dtype", text_value(options.key_dtype)},
                {"value_dtype", text_value(options.value_dtype)},
                {"dtype_policy", text_or_null(options.dtype_policy)},
                {"combiner", text_value(options.combiner.name)},
                {"empty_bag", text_value(options.empty_bag)},
                {"padding_id", whole_or_null(options.padding_id)},
                {"share", text_or_null(options.share)},
                {"trainable", value_of(options.trainable)},
                {"activity_regularizer", options.activity_regularizer
                                             ? activity_tree(*options.activity_regularizer)
                                             : SettingValue()}};
  add_row_options(options, table);
  add_table_options(options, table);
  return value_of(std::move(table));
}

SettingValue without_nulls(const SettingValue& config) {
  static const std::vector<std::string> kNullable{
      "dtype_policy", "padding_id", "share",           "activity_regularizer", "initializer",
      "max_norm",     "seed",       "restrict_policy", "kv_creator",           "devices"};
  SettingValue given = config;
  if (auto* table = std::get_if<Entries>(&given.value)) {
    std::erase_if(*table, [](const auto& entry) {
      return std::holds_alternative<std::monostate>(entry.second.value) &&
             std::find(kNullable.begin(), kNullable.end(), entry.first) != kNullable.end();
    });
  }
  return given;
}

LayerOptions read_layer_options(Settings& settings, const OwnRules& own) {
  LayerOptions options;
  options.name = settings.text("name", "");
  options.embedding_size = settings.integer("embedding_size", 1, 1, kMaxDim);
  if (!settings.has("embedding_size")) {
    settings.problem("embedding_size", "expected embedding_size: found none");
  }
  options.key_dtype = settings.text("key_dtype", options.key_dtype);
  options.value_dtype = settings.text("value_dtype", options.value_dtype);
  options.dtype_policy = settings.text("dtype_policy", "");
  options.combiner = settings.text("combiner", options.combiner.name);
  options.empty_bag = settings.text("empty_bag", options.empty_bag);
  if (settings.has("padding_id")) {
    options.padding_id = static_cast<Key>(settings.integer("padding_id", 0));
  }
  options.share = settings.text("share", "");
  options.trainable = settings.flag("trainable", options.trainable);
  if (settings.has("activity_regularizer")) {
    options.activity_regularizer = read_activity(settings, true);
  }
  read_row_options(settings, own, options);
  read_table_options(settings, own, options);
  return options;
}

LayerOptions layer_options(const SettingValue& config, const OwnRules& own) {
  const auto report = std::make_shared<SettingsReport>();
  const SettingValue given = without_nulls(config);
  Settings settings(given, "layer", report);
  LayerOptions options = read_layer_options(settings, own);
  settings.finish();
  require_no_problems(*report);
  return options;
}

}  // namespace keyshard
