// The options of a layer as a tree of values, which json_text writes as JSON: what get_config
// returns and from_config reads. Every option has a key; an option that is not given is null.
#pragma once

#include "embedding/layers/layer.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

/// A fresh tree with every option. `devices` is null unless `keep_distribution` is set. Throws
/// Error{invalid_argument} for an option that a program can set but a configuration cannot, such as
/// a rule of the program that has no name.
SettingValue layer_config(const LayerOptions& options);

/// A tree without those of its keys that are null, for Settings. Only keys that may be null are
/// left out.
SettingValue without_nulls(const SettingValue& config);

/// Reads the options from a tree, whose names may be those of `own`; a key that is absent has its
/// default. Problems are recorded in `settings`; keys that are unknown are left to
/// `settings.finish`.
LayerOptions read_layer_options(Settings& settings, const OwnRules& own = no_own_rules());

/// The options that `layer_config` wrote. Throws Error{invalid_argument} with every problem.
LayerOptions layer_options(const SettingValue& config, const OwnRules& own = no_own_rules());

}  // namespace keyshard
