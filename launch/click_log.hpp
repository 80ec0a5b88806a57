// The configuration of a generated click log (io/generated_reader).
#pragma once

#include <string>

#include "io/generated_reader.hpp"

namespace keyshard {

/// The tables [[data.columns]] for the text that write_generated_text writes with these options.
std::string click_log_columns(const GeneratorOptions& options);

}  // namespace keyshard
