// The checks on host memory.
#include "tests/collectives/communicator_checks_impl.hpp"
#include "tests/collectives/folded_sum_checks_impl.hpp"

namespace keyshard::testing {

template std::vector<RankCheck<Cpu>> communicator_checks();
template std::vector<RankCheck<Cpu>> folded_sum_checks();

}  // namespace keyshard::testing
