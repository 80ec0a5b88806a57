// Instantiates a training for a CUDA device: trainer, trace, evaluation, and saving and loading of
// tables and of a whole training. Nothing is linked: tables, lookup and dense side are only
// declared here.
#include "launch/training/evaluation_impl.hpp"
#include "launch/training/pretrained_impl.hpp"
#include "launch/training/step_trace_impl.hpp"
#include "launch/training/table_checkpoint_impl.hpp"
#include "launch/training/table_digests_impl.hpp"
#include "launch/training/trainer_impl.hpp"
#include "launch/training/training_checkpoint_impl.hpp"

namespace keyshard {

template class Trainer<Cuda>;
template class StepTrace<Cuda>;
template std::vector<TableDigests> table_digests(const TableSet<Cuda>&, Stream<Cuda>&);
template Digest128 state_digest(const TableSet<Cuda>&, Stream<Cuda>&, std::int64_t);
template std::string save_tables(const std::string&, TableSet<Cuda>&, Stream<Cuda>&,
                                 const TableSaveOptions&);
template std::int64_t load_pretrained(const Pretrained&, TableSet<Cuda>&, Stream<Cuda>&);
template TableLoad load_tables(const std::string&, TableSet<Cuda>&, Stream<Cuda>&);
template CheckpointTimes save_checkpoint(CheckpointWriter&, const Retention&, SettingValue,
                                         Trainer<Cuda>&, const TrainingPosition&);
template TrainingPosition load_checkpoint(const std::string&, Trainer<Cuda>&, CheckpointTimes*);
template SplitMetrics evaluate_split(
    Trainer<Cuda>&, DataReader&, const UnseenIds*,
    const std::function<void(const Batch&, const std::vector<float>&)>&);

}  // namespace keyshard
