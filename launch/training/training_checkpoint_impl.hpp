// The bodies of saving and loading a training.
#pragma once

#include <cstring>
#include <memory>

#include "collectives/vote.hpp"
#include "launch/training/dense_tensors.hpp"
#include "launch/training/optimizer_clocks.hpp"
#include "launch/training/table_checkpoint.hpp"
#include "launch/training/training_checkpoint.hpp"
#include "runtime/error.hpp"

namespace keyshard {
inline std::vector<float> read_floats(CheckpointReader& reader, const std::string& name) {
  const std::vector<std::byte> bytes = reader.read_dense(name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

/// Reads what `dense` is to be restored to, and checks that it fits.
template <Backend B>
DenseValues read_dense_values(CheckpointReader& reader, DenseSide<B>& dense) {
  DenseValues values;
  for (const std::string& name : dense.optimizer().names()) {
    values.states.push_back(read_floats(reader, "state/" + name));
  }
  const std::int64_t size = dense.model().statistics_size();
  if (size > 0) {
    values.statistics = read_floats(reader, "statistics");
    require(static_cast<std::int64_t>(values.statistics.size()) == size, Kind::corrupt_data,
            "{}: expected {} running statistics: found {}", reader.path(), size,
            values.statistics.size());
  }
  values.weights = read_floats(reader, "weights");
  dense.check(values);
  return values;
}

/// Throws where the checkpoint is not one of these tables, slices and seed. Loads nothing.
template <Backend B>
void check_state(const std::string& path, const Manifest& manifest, Trainer<B>& trainer) {
  check_tables(path, manifest, trainer.tables());
  const ValueReader state(manifest.state, path);
  require_saved(path, "slices", std::to_string(trainer.slices()),
                std::to_string(state.at("slices").integer()));
  require_saved(path, "seed", std::to_string(static_cast<std::int64_t>(trainer.seed())),
                std::to_string(state.at("seed").integer()));
  check_clocks(state.at("table_clocks"), clocks_of(trainer.tables()));
  const Model<B>& model = trainer.dense().model();
  check_dense_tensors(path, manifest.state, model.parameters(), model.statistics());
}

template <Backend B>
CheckpointContent checkpoint_content(Trainer<B>& trainer, const TrainingPosition& position) {
  CheckpointContent content;
  const Model<B>& model = trainer.dense().model();
  content.step = trainer.steps();
  content.shards = kShards;
  content.state =
      state_value({.slices = trainer.slices(),
                   .seed = trainer.seed(),
                   .table_clocks = clocks_value(clocks_of(trainer.tables())),
                   .dense_clock = clock_value(trainer.dense().optimizer().clock()),
                   .dense_tensors = dense_tensors_tree(model.parameters(), model.statistics())},
                  position);
  content.tables = table_sources(trainer.tables());
  const auto parts = std::make_shared<std::vector<DensePart>>(trainer.dense().parts());
  for (const DensePart& part : *parts) {
    content.dense.push_back({part.name,
                             ElementType::f32,
                             {static_cast<std::int64_t>(part.values.size())},
                             part.values.data()});
  }
  content.memory = parts;
  return content;
}

template <Backend B>
TrainingPosition load_checkpoint(const std::string& path, Trainer<B>& trainer,
                                 CheckpointTimes* times) {
  LocalFileSystem files;
  Communicator<Cpu>& communicator = host_of(trainer.communicator());
  const InPhase phase(trainer.communicator().progress(), Phase::loading);
  CheckpointReader reader(files, path, communicator, host_of(trainer.stream()),
                          file_check_of(trainer.tables()));
  const Manifest& manifest = reader.manifest();
  const ValueReader state(manifest.state, path);
  TrainingPosition position;
  vote(communicator, [&] {
    check_state(path, manifest, trainer);
    position = position_in(state);
  });
  const DenseValues dense = read_dense_values(reader, trainer.dense());
  load_rows(reader, trainer.tables(), trainer.stream());
  trainer.dense().restore(dense);
  restore_clocks(state.at("table_clocks"), clocks_of(trainer.tables()));
  restore_clock(state.at("dense_clock"), trainer.dense().optimizer().clock());
  trainer.restore_steps(manifest.step);
  if (times != nullptr) {
    *times = reader.times();
  }
  return position;
}

}  // namespace keyshard
