// Which ranks own the shards of a table, as the option `devices` of a layer names them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keyshard {

/// Checks names "cpu:RANK" or "gpu:RANK". Throws Error{invalid_argument} for a name of another form
/// and for a name that stands there twice.
void check_device_names(const std::string& layer, const std::vector<std::string>& devices);

/// The ranks of the names, as TableOptions::owners takes them: no names mean all ranks. Throws as
/// check_device_names, and Error{invalid_argument} for a rank that a job of `ranks` ranks lacks and
/// for another backend than that of the job ("cpu" or "gpu").
std::vector<std::int64_t> device_ranks(const std::string& layer,
                                       const std::vector<std::string>& devices, int ranks,
                                       std::string_view backend);

}  // namespace keyshard
