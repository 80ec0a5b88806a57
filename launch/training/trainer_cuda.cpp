// A training on a CUDA device, with what evaluates, traces, saves and loads it.
#include "launch/training/evaluation_impl.hpp"
#include "launch/training/pretrained_impl.hpp"
#include "launch/training/step_trace_impl.hpp"
#include "launch/training/table_checkpoint_impl.hpp"
#include "launch/training/table_digests_impl.hpp"
#include "launch/training/trainer_impl.hpp"
#include "launch/training/training_checkpoint_impl.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {

template class Trainer<Cuda>;
template class StepTrace<Cuda>;
template SplitMetrics evaluate_split(
    Trainer<Cuda>&, DataReader&, const EvaluationPlan&,
    const std::function<void(const Batch&, const std::vector<float>&)>&);
template std::int64_t load_pretrained(const Pretrained&, TableSet<Cuda>&, Stream<Cuda>&);
template std::vector<TableDigests> table_digests(const TableSet<Cuda>&, Stream<Cuda>&);
template Digest128 state_digest(const TableSet<Cuda>&, Stream<Cuda>&, std::int64_t,
                                const NamedDigests&);
template std::string save_tables(const std::string&, TableSet<Cuda>&, Stream<Cuda>&,
                                 const TableSaveOptions&);
template TableLoad load_tables(const std::string&, TableSet<Cuda>&, Stream<Cuda>&);
template std::vector<TableSource> table_sources(const TableSet<Cuda>&);
template void check_tables(const std::string&, const Manifest&, const TableSet<Cuda>&);
template FileCheck file_check_of(const TableSet<Cuda>&);
template void load_rows(CheckpointReader&, TableSet<Cuda>&, Stream<Cuda>&);
template CheckpointContent checkpoint_content(Trainer<Cuda>&, const TrainingPosition&);
template TrainingPosition load_checkpoint(const std::string&, Trainer<Cuda>&, CheckpointTimes*);

}  // namespace keyshard
