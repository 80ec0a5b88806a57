#include "embedding/layers/devices.hpp"

#include <charconv>
#include <optional>
#include <set>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

struct Device {
  std::string_view backend;
  int rank;
};

std::optional<Device> device_of(std::string_view name) {
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(colon + 1);
  Device device{name.substr(0, colon), 0};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), device.rank);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  const bool canonical = whole && digits == std::to_string(device.rank) && device.rank >= 0;
  return canonical && (device.backend == "cpu" || device.backend == "gpu")
             ? std::optional<Device>(device)
             : std::nullopt;
}

}  // namespace

void check_device_names(const std::string& layer, const std::vector<std::string>& devices) {
  std::set<std::string> seen;
  for (const std::string& name : devices) {
    require(device_of(name).has_value(), Kind::invalid_argument,
            "layer {}: expected devices \"cpu:RANK\" or \"gpu:RANK\": found \"{}\"", layer, name);
    require(seen.insert(name).second, Kind::invalid_argument,
            "layer {}: expected each of devices once: found \"{}\" twice", layer, name);
  }
}

std::vector<std::int64_t> device_ranks(const std::string& layer,
                                       const std::vector<std::string>& devices, int ranks,
                                       std::string_view backend) {
  check_device_names(layer, devices);
  std::vector<std::int64_t> owners;
  for (const std::string& name : devices) {
    const Device device = *device_of(name);
    require(device.backend == backend, Kind::invalid_argument,
            "layer {}: expected devices of the backend of this job, {}: found \"{}\"", layer,
            backend, name);
    require(device.rank < ranks, Kind::invalid_argument,
            "layer {}: expected devices of the ranks 0 to {}: found \"{}\"", layer, ranks - 1,
            name);
    owners.push_back(device.rank);
  }
  return owners;
}

}  // namespace keyshard
