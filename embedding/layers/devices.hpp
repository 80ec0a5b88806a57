// Which ranks own the shards of a table, as the option `devices` of a layer names them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keyshard {

/// Checks names "cpu:RANK" or "gpu:RANK". Throws Error{invalid_argument} for a name of another form
/// and for a name that stands there twice.
void check_device_names(const std::string& layer, const std::vector<std::string>& devices);

/// Checks that the names are devices of a job with `ranks` ranks that run on `backend` ("cpu" or
/// "gpu"): throws Error{invalid_argument} for a rank that does not exist and for another backend.
/// No names mean all ranks, and so does the list of all of them in their order; any other list
/// throws Error{not_built}.
void check_devices(const std::string& layer, const std::vector<std::string>& devices, int ranks,
                   std::string_view backend);

}  // namespace keyshard
