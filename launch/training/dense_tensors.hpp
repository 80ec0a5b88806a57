// The tensors of the dense part of a model in a checkpoint: their names and shapes, and where they
// lie in the flat datasets `weights` (and the states of the optimizer, which lie alike) and
// `statistics`. FORMATS.md describes the tree, docs/models.md the formulas in these names.
#pragma once

#include <string>

#include "launch/training/models/parameters.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

/// For each dataset the list of its tensors, each with name, offset and shape.
SettingValue dense_tensors_tree(const Parameters& weights, const Parameters& statistics);

/// Throws Error{corrupt_data} where the tensors of a checkpoint are not these; `state` is that of
/// its manifest, `path` names it in messages. Earlier versions have saved no tensors: they pass.
void check_dense_tensors(const std::string& path, const SettingValue& state,
                         const Parameters& weights, const Parameters& statistics);

/// "dense weights: W1 [8, 4], b1 [1, 4]", a line for each dataset; empty for earlier versions.
std::string dense_tensors_text(const SettingValue& state);

}  // namespace keyshard
