// What the keys of [embedding], [tables.NAME] and of a column that embeddings read mean.
#pragma once

#include "runtime/setting_keys.hpp"

namespace keyshard {

const KeyTable& group_keys();        ///< of a column group
const KeyTable& table_keys();        ///< of whole rows
const KeyTable& named_table_keys();  ///< of [tables.NAME] alone
const KeyTable& feature_keys();      ///< of a column of ids
const KeyTable& activity_keys();     ///< of activity_regularizer

}  // namespace keyshard
