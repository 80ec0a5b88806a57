// A small job with everything in it that could make bits depend on ranks or threads: DeepFM with
// dropout and batch norm, ragged features, several optimizers, a short last step, evaluation with
// decay and early stopping.
#pragma once

#include <string>
#include <vector>

#include "io/data_options.hpp"
#include "launch/training_run.hpp"

namespace keyshard::testing {

/// "rows", "reduced" or "auto"; slices V; `more` are assignments like those of --set.
JobConfig tiny_job(const std::string& folder, const std::string& exchange, std::int64_t slices,
                   const std::vector<std::string>& more = {});

/// The records of tiny_job, to be written to files.
GeneratorOptions tiny_records();

/// Assignments that make tiny_job read text files of write_generated_text.
std::vector<std::string> text_data(const std::string& train, const std::string& valid);

struct TinyResult {
  std::string digest;
  std::vector<double> losses;

  bool operator==(const TinyResult&) const = default;
};

/// The trainer of a run on a CPU.
Trainer<Cpu>& trainer_of(TrainingRun& run);

/// Trains on this rank, on `device`. `save` keeps checkpoints in the folder of the job; `from`, if
/// not empty, is a checkpoint to go on from.
TinyResult train_tiny(const JobConfig& config, Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                      bool save = false, const std::string& from = "", const Device& device = {});

/// The same on ranks that are threads; fails the test where ranks disagree.
TinyResult train_on_threads(const JobConfig& config, int ranks, int threads, bool save = false,
                            const std::string& from = "", const Device& device = {});

/// Pins a path of products that signals may interrupt, as ThreadDelays does: those of oneDNN 2.6
/// with AVX-512 write below the end of their stack (launch/stop_signal.hpp). To be called before
/// the first product.
bool pin_interruptible_products();

}  // namespace keyshard::testing
