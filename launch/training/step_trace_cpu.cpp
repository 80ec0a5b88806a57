#include "launch/training/step_trace_impl.hpp"

namespace keyshard {

template class StepTrace<Cpu>;

}  // namespace keyshard
