// What the keys of [data] mean. data_options.cpp reads them.
#pragma once

#include "runtime/setting_keys.hpp"

namespace keyshard {

const KeyTable& data_keys();
const KeyTable& split_keys();
const KeyTable& generator_keys();
const KeyTable& column_keys();

}  // namespace keyshard
