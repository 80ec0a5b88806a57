// A whole training in a checkpoint: tables, dense side, schedule, clocks and the position of the
// reader.
#pragma once

#include <string>

#include "io/checkpoint_reader.hpp"
#include "io/checkpoint_writer.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/job_state.hpp"
#include "launch/training/trainer.hpp"

namespace keyshard {

/// Saves the training at this step through `writer`. `saved_config` is what the checkpoint holds of
/// the configuration. The best step stays beside the newest ones where early stopping may want it.
/// Collective. Throws Error{io} on all ranks.
CheckpointTimes save_checkpoint(CheckpointWriter& writer, const JobConfig& config,
                                SettingValue saved_config, Trainer& trainer,
                                const TrainingPosition& position);

/// Loads the model of a checkpoint into a trainer without rows. The tables, columns and options
/// that decide results must be those of the trainer; all but the rows and weights is checked before
/// a table is touched. `times`, if given, gets where the time went. Collective. Throws
/// Error{corrupt_data} on all ranks.
TrainingPosition load_checkpoint(const std::string& path, const JobConfig& config, Trainer& trainer,
                                 CheckpointTimes* times = nullptr);

}  // namespace keyshard
