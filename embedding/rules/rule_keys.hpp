// What the keys of optimizers and initializers mean. Rules that share a key share its meaning.
#pragma once

#include "runtime/setting_keys.hpp"

namespace keyshard {

const KeyTable& optimizer_keys();
const KeyTable& initializer_keys();

}  // namespace keyshard
