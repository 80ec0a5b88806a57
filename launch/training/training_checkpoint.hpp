// A whole training in a checkpoint: tables, dense side, schedule, clocks and the position of the
// reader.
#pragma once

#include <string>

#include "io/checkpoint_reader.hpp"
#include "io/checkpoint_writer.hpp"
#include "launch/training/job_state.hpp"
#include "launch/training/trainer.hpp"

namespace keyshard {

/// The training at this step, as a CheckpointWriter takes it, without a configuration. Tables are
/// borrowed, so the content is that of this step until the next one. Collective. Throws Error{io}
/// on all ranks, where a table has a store that fails.
template <Backend B>
CheckpointContent checkpoint_content(Trainer<B>& trainer, const TrainingPosition& position);

/// Loads the model of a checkpoint into a trainer without rows. The tables, columns and options
/// that decide results must be those of the trainer; tables, options and clocks of tables are
/// checked before anything is loaded. `times`, if given, gets where the time went. Collective.
/// Throws Error{corrupt_data} on all ranks; the trainer is then as it was, but for rows of stores.
template <Backend B>
TrainingPosition load_checkpoint(const std::string& path, Trainer<B>& trainer,
                                 CheckpointTimes* times = nullptr);

}  // namespace keyshard
