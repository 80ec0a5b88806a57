#include "embedding/rows/table_options.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

std::int64_t TableOptions::dim() const {
  std::int64_t sum = 0;
  for (const GroupOptions& group : groups) {
    sum += group.dim;
  }
  return sum;
}

const std::vector<std::string>& names_of(ExchangeMode) {
  static const std::vector<std::string> kNames{"rows", "reduced", "auto"};
  return kNames;
}

const std::vector<std::string>& names_of(PoolOrder) {
  static const std::vector<std::string> kNames{"bag", "shard"};
  return kNames;
}

const std::vector<std::string>& names_of(Missing) {
  static const std::vector<std::string> kNames{"initial", "zeros"};
  return kNames;
}

const std::vector<std::string>& names_of(ValueDtype) {
  static const std::vector<std::string> kNames{"float32", "float16", "bfloat16", "float64",
                                               "int8",    "int32",   "int64"};
  return kNames;
}

const std::vector<std::string>& l2_per_names() {
  static const std::vector<std::string> kNames{"step", "occurrence"};
  return kNames;
}

double read_max_norm(Settings& settings, double otherwise) {
  settings.allow("max_norm");
  if (!settings.has("max_norm")) {
    return otherwise;
  }
  const double limit = settings.number("max_norm", 1);
  if (!(limit > 0)) {
    settings.problem("max_norm", fmt::format("expected a number above 0: found {}", limit));
  }
  return limit;
}

namespace {

/// Adds the name of a rule that the program brings along.
template <class Family>
void save_own(const std::string& option, const Family& family, SettingValue::Table& saved) {
  visit_variant(family, [&](const auto& rule) {
    if constexpr (requires { rule.functions; }) {
      saved.emplace_back(option, value_of(std::string(rule_name(rule))));
    }
  });
}

}  // namespace

SettingValue own_rule_names(const TableOptions& options) {
  SettingValue::Table names;
  save_own("partitioner", chosen_partitioner(options.partitioner, options.name), names);
  save_own("restrict_policy", options.restrict_policy, names);
  for (const GroupOptions& group : options.groups) {
    save_own("optimizer of " + group.name, group.optimizer, names);
    save_own("initializer of " + group.name, group.initializer, names);
  }
  return value_of(std::move(names));
}

SettingValue saved_options(const TableOptions& options) {
  SettingValue::Table saved{
      {"partitioner", {name_of(chosen_partitioner(options.partitioner, options.name)), ""}},
      {"seed", {static_cast<std::int64_t>(options.seed), ""}},
      {"pool_order", {option_name(options.pool_order), ""}}};
  if (options.value_dtype != ValueDtype::float32) {
    saved.emplace_back(kValueDtype, value_of(option_name(options.value_dtype)));
  }
  if (options.max_rows > 0) {
    saved.emplace_back("max_rows", value_of(options.max_rows));
    saved.emplace_back("restrict_every", value_of(options.restrict_every));
  }
  if (std::any_of(options.groups.begin(), options.groups.end(),
                  [](const GroupOptions& group) { return group.max_norm > 0; })) {
    std::vector<double> limits;
    for (const GroupOptions& group : options.groups) {
      limits.push_back(group.max_norm);
    }
    saved.emplace_back("max_norm", value_of(limits));
  }
  if (options.admit_after > 1) {
    saved.emplace_back("admit_after", value_of(options.admit_after));
  }
  if (options.admit_probability < 1) {
    saved.emplace_back("admit_probability", value_of(options.admit_probability));
  }
  if (has_own_rules(options)) {
    saved.emplace_back(kOwnRules, own_rule_names(options));
  }
  return value_of(std::move(saved));
}

ShardOwners owners_of(const TableOptions& options, std::int64_t ranks) {
  require(ShardOwners::valid(ranks, options.owners), Kind::invalid_argument,
          "table {}: expected owners among the ranks 0 to {}, each once: found {}", options.name,
          ranks - 1, joined(options.owners, ", "));
  return {ranks, kShards, options.owners};
}

bool has_own_rules(const TableOptions& options) {
  return !std::get<SettingValue::Table>(own_rule_names(options).value).empty();
}

namespace {

void check_group(const std::string& table, const GroupOptions& group) {
  require(group.dim >= 1 && group.dim <= kMaxDim, Kind::invalid_argument,
          "table {}: group {}: expected 1 <= dim <= {}: found {}", table, group.name, kMaxDim,
          group.dim);
  require(group.constant.empty() || static_cast<std::int64_t>(group.constant.size()) == group.dim,
          Kind::invalid_argument, "table {}: group {}: expected a constant of {} numbers: found {}",
          table, group.name, group.dim, group.constant.size());
  const std::size_t states = state_columns(group.optimizer, group.dim).size();
  require(static_cast<std::int64_t>(states) <= OwnOptimizer::kStates, Kind::invalid_argument,
          "table {}: group {}: expected an optimizer with at most {} states: found {} of {}", table,
          group.name, OwnOptimizer::kStates, states, name_of(group.optimizer));
  const Regularization& rule = group.regularization;
  require(rule.clip_value >= 0, Kind::invalid_argument,
          "table {}: group {}: expected clip_value >= 0, where 0 is none: found {}", table,
          group.name, rule.clip_value);
  require(rule.clip_norm >= 0, Kind::invalid_argument,
          "table {}: group {}: expected clip_norm >= 0, where 0 is none: found {}", table,
          group.name, rule.clip_norm);
  require(group.max_norm >= 0 && std::isfinite(group.max_norm), Kind::invalid_argument,
          "table {}: group {}: expected a finite max_norm >= 0, where 0 is none: found {}", table,
          group.name, group.max_norm);
}

void check_admission(const TableOptions& options) {
  require(options.admit_after >= 0 && options.admit_after < UINT32_MAX, Kind::invalid_argument,
          "table {}: expected 0 <= admit_after < {}: found {}", options.name, UINT32_MAX,
          options.admit_after);
  require(options.admit_probability > 0 && options.admit_probability <= 1, Kind::invalid_argument,
          "table {}: expected 0 < admit_probability <= 1: found {}", options.name,
          options.admit_probability);
  require(options.admit_after <= 1 || options.admit_probability == 1, Kind::invalid_argument,
          "table {}: expected one of admit_after and admit_probability: found {} and {}",
          options.name, options.admit_after, options.admit_probability);
}

/// Throws where a rule of the program computes in floats alone, and rows are doubles or integers.
void check_own_numbers(const TableOptions& options, const GroupOptions& group) {
  const std::string& dtype = option_name(options.value_dtype);
  const auto* optimizer = std::get_if<OwnOptimizer>(&group.optimizer);
  require(optimizer == nullptr || is_integer(options.value_dtype) ||
              optimizer->functions->update_doubles != nullptr,
          Kind::invalid_argument,
          "table {}: expected an optimizer of the program whose update takes T* for doubles, too, "
          "or value_dtype float32: found {} of floats and value_dtype {}",
          options.name, name_of(group.optimizer), dtype);
  if (const auto* initializer = std::get_if<OwnInitializer>(&group.initializer)) {
    require(!is_integer(options.value_dtype), Kind::invalid_argument,
            "table {}: expected an initializer that is built in for rows of integers: found {} of "
            "the program and value_dtype {}",
            options.name, rule_name(*initializer), dtype);
    require(initializer->functions->fill_doubles != nullptr, Kind::invalid_argument,
            "table {}: expected an initializer of the program whose fill takes T* for doubles, "
            "too, or value_dtype float32: found {} of floats and value_dtype {}",
            options.name, rule_name(*initializer), dtype);
  }
}

/// What tables of doubles and of integers cannot have. Integers are only looked up.
void check_dtype(const TableOptions& options) {
  if (works_as_float(options.value_dtype)) {
    return;
  }
  const std::string& dtype = option_name(options.value_dtype);
  for (const GroupOptions& group : options.groups) {
    check_own_numbers(options, group);
  }
  if (!is_integer(options.value_dtype)) {
    require(options.exchange != ExchangeMode::reduced, Kind::not_built,
            "table {}: exchange \"reduced\" of rows of {} is not built in this version; built are "
            "\"rows\", and \"auto\", which then takes rows",
            options.name, dtype);
    return;
  }
  require(!options.trainable, Kind::invalid_argument,
          "table {}: rows of integers are only looked up: expected trainable = false: found "
          "value_dtype {}",
          options.name, dtype);
  require(options.groups.size() == 1, Kind::invalid_argument,
          "table {}: expected one column group in a table of integers: found {} and value_dtype {}",
          options.name, options.groups.size(), dtype);
  require(options.groups.front().max_norm == 0, Kind::invalid_argument,
          "table {}: expected no max_norm of rows of integers: found {} and value_dtype {}",
          options.name, options.groups.front().max_norm, dtype);
  require(options.exchange != ExchangeMode::reduced, Kind::invalid_argument,
          "table {}: rows of integers are not pooled, so nothing can be reduced: expected exchange "
          "\"rows\" or \"auto\", which then takes rows: found \"reduced\"",
          options.name);
}

}  // namespace

void check(const TableOptions& options) {
  require(!options.name.empty() && options.name.find('\0') == std::string::npos,
          Kind::invalid_argument, "expected a table name of one character at least, and no NUL");
  require(!options.groups.empty(), Kind::invalid_argument,
          "table {}: expected at least one column group", options.name);
  for (const GroupOptions& group : options.groups) {
    check_group(options.name, group);
  }
  require(options.init_capacity >= 0, Kind::invalid_argument,
          "table {}: expected init_capacity >= 0: found {}", options.name, options.init_capacity);
  require(options.max_rows >= 0 && options.restrict_every >= 1, Kind::invalid_argument,
          "table {}: expected max_rows >= 0 and restrict_every >= 1: found {} and {}", options.name,
          options.max_rows, options.restrict_every);
  require(options.max_rows == 0 || has_status(options.restrict_policy), Kind::invalid_argument,
          "table {}: max_rows needs a restrict_policy that says which rows stay, \"timestamp\" or "
          "\"frequency\": found \"none\"",
          options.name);
  check_admission(options);
  check_dtype(options);
  if (!in_memory(options.kv_creator)) {
    check(options.kv_creator, "table " + options.name);
  }
  require(options.exchange == ExchangeMode::rows || options.pool_order == PoolOrder::shard,
          Kind::invalid_argument,
          "table {}: exchange \"reduced\" and \"auto\" need pool_order \"shard\": found \"bag\"",
          options.name);
}

}  // namespace keyshard
