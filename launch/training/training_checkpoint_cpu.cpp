#include "launch/training/training_checkpoint_impl.hpp"

namespace keyshard {

template CheckpointContent checkpoint_content(Trainer<Cpu>&, const TrainingPosition&);
template TrainingPosition load_checkpoint(const std::string&, Trainer<Cpu>&, CheckpointTimes*);

}  // namespace keyshard
