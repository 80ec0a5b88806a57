// What the keys of a job mean: the sections of a configuration, [job], [checkpoint] and [model].
#pragma once

#include "runtime/setting_keys.hpp"

namespace keyshard {

const KeyTable& section_keys();  ///< of the configuration itself
const KeyTable& job_keys();
const KeyTable& metrics_keys();
const KeyTable& schedule_keys();
const KeyTable& checkpoint_keys();
const KeyTable& model_keys();

}  // namespace keyshard
