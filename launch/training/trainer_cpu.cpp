#include "launch/training/trainer_impl.hpp"

namespace keyshard {

template class Trainer<Cpu>;

}  // namespace keyshard
