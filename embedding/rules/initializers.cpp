#include "embedding/rules/initializers.hpp"

#include "embedding/rules/own_rules.hpp"
#include "embedding/rules/rule_keys.hpp"

namespace keyshard {
namespace {

/// A constant whose name says its value.
template <int kValue>
InitialValues constant(Settings&, std::int64_t) {
  return {Constant{kValue}, {}};
}

/// A rule with its fields.
template <class Rule>
InitialValues with_fields(Settings& settings, std::int64_t) {
  Rule rule;
  Rule::fields(rule, FieldReader(settings));
  return {rule, {}};
}

/// `values`, a number per column, or one `value`.
InitialValues constant_or_vector(Settings& settings, std::int64_t dim) {
  if (!settings.has("values")) {
    return with_fields<Constant>(settings, dim);
  }
  InitialValues result{Constant{}, {}};
  for (const double value : settings.numbers("values")) {
    result.constant.push_back(value);
  }
  return result;
}

InitialValues any_scaling(Settings& settings, std::int64_t dim) {
  const double scale = settings.number("scale", 1, 0);
  const Fan fan = settings.option("mode", Fan::in, {"fan_in", "fan_out", "fan_avg"});
  const Distribution distribution =
      settings.option("distribution", Distribution::truncated_normal,
                      {"truncated_normal", "untruncated_normal", "uniform"});
  return {variance_scaling(scale, fan, distribution, dim), {}};
}

/// A named form of variance scaling, of which only the scale may be given.
template <int kScale, Fan kFan, Distribution kDistribution>
InitialValues scaling(Settings& settings, std::int64_t dim) {
  return {variance_scaling(settings.number("scale", kScale, 0), kFan, kDistribution, dim), {}};
}

/// A name in files, and what reads the keys that may stand beside it.
struct Name {
  const char* name;
  InitialValues (*read)(Settings& settings, std::int64_t dim);
};

/// The table of the family.
constexpr Name kNames[] = {
    {"zeros", constant<0>},
    {"ones", constant<1>},
    {"constant", constant_or_vector},
    {"normal", with_fields<Normal>},
    {"uniform", with_fields<Uniform>},
    {"truncated_normal", with_fields<TruncatedNormal>},
    {"variance_scaling", any_scaling},
    {"glorot_normal", scaling<1, Fan::average, Distribution::truncated_normal>},
    {"glorot_uniform", scaling<1, Fan::average, Distribution::uniform>},
    {"he_normal", scaling<2, Fan::in, Distribution::truncated_normal>},
    {"he_uniform", scaling<2, Fan::in, Distribution::uniform>},
    {"lecun_normal", scaling<1, Fan::in, Distribution::truncated_normal>},
    {"lecun_uniform", scaling<1, Fan::in, Distribution::uniform>},
};

const char* name_of_rule(const Constant&) { return "constant"; }

const char* name_of_rule(const Uniform&) { return "uniform"; }

const char* name_of_rule(const Normal&) { return "normal"; }

const char* name_of_rule(const TruncatedNormal&) { return "truncated_normal"; }

const FamilyNames& initializers() {
  static const FamilyNames kFamily = [] {
    FamilyNames names{"an initializer", {}};
    for (const Name& name : kNames) {
      names.built.emplace_back(name.name);
    }
    return names;
  }();
  return kFamily;
}

}  // namespace

Initializer variance_scaling(double scale, Fan fan, Distribution distribution, std::int64_t dim) {
  const double out = static_cast<double>(dim);
  const double n = fan == Fan::in ? 1.0 : fan == Fan::out ? out : (1.0 + out) / 2.0;
  const double variance = scale / n;
  switch (distribution) {
    case Distribution::uniform: {
      const double limit = portable_sqrt(3.0 * variance);
      return Uniform{-limit, limit};
    }
    case Distribution::truncated_normal:
      // The constant is the standard deviation of a normal cut at two standard deviations.
      return TruncatedNormal{0, portable_sqrt(variance) / 0.87962566103423978};
    case Distribution::normal:
      break;
  }
  return Normal{0, portable_sqrt(variance)};
}

InitialValues read_initializer(Settings settings, const InitialValues& otherwise, std::int64_t dim,
                               const OwnRules& own) {
  settings.describe(initializer_keys());
  InitialValues result = otherwise;
  if (settings.has("type")) {
    const std::optional<std::size_t> index =
        initializers().with(own_names(own.initializers)).read(settings, "type", "normal");
    if (!index) {
      return otherwise;  // The other keys have no meaning then.
    }
    if (*index < std::size(kNames)) {
      result = kNames[*index].read(settings, dim);
    } else {
      OwnInitializer rule = own.initializers[*index - std::size(kNames)];
      rule.functions->read(rule.bytes, settings);
      result = {rule, {}};
    }
  }
  settings.finish();
  return result;
}

InitialValues initializer_of(const SettingValue& tree, std::int64_t dim, const OwnRules& own) {
  const auto report = std::make_shared<SettingsReport>();
  InitialValues result = read_initializer(Settings(tree, "initializer", report), {}, dim, own);
  require_no_problems(*report);
  return result;
}

SettingValue initializer_tree(const InitialValues& initial, std::int64_t dim) {
  std::vector<double> constant = initial.constant;
  if (const auto* borrowed = std::get_if<ConstantVector>(&initial.initializer);
      borrowed != nullptr && constant.empty()) {
    constant.assign(borrowed->values, borrowed->values + dim);
  }
  if (!constant.empty()) {
    return value_of(SettingValue::Table{{"type", value_of(std::string("constant"))},
                                        {"values", value_of(constant)}});
  }
  return visit_variant(initial.initializer, [](const auto& rule) {
    using Rule = std::decay_t<decltype(rule)>;
    if constexpr (std::is_same_v<Rule, ConstantVector>) {
      return SettingValue();  // written above
    } else if constexpr (std::is_same_v<Rule, OwnInitializer>) {
      return rule.functions->tree(rule.rule());
    } else {
      return tree_of_rule(name_of_rule(rule), rule);
    }
  });
}

}  // namespace keyshard
