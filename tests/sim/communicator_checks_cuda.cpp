// The checks of communicators on the memory of a CUDA device.
#include "tests/collectives/communicator_checks_impl.hpp"
#include "tests/collectives/folded_sum_checks_impl.hpp"

namespace keyshard::testing {

template std::vector<RankCheck<Cuda>> communicator_checks();
template std::vector<RankCheck<Cuda>> folded_sum_checks();

}  // namespace keyshard::testing
