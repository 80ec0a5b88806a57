#include "launch/bench/device_measures_impl.hpp"

namespace keyshard {

template const std::vector<DeviceMeasure<Cpu>>& device_measures<Cpu>();
template void run_device_measures(const BenchOn<Cpu>&, const std::vector<std::string>&);

}  // namespace keyshard
