// What a manifest holds of a training beside its tables and weights: the position of the reader,
// the schedule, the clocks of the optimizers, and what the data was. Written to and read from a
// tree; a tree that lacks a part is corrupt.
#pragma once

#include <string>

#include "io/bad_lines.hpp"
#include "io/data_reader.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/schedule.hpp"
#include "launch/training/trainer.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

/// Where a training stands between two steps, beside its model.
struct TrainingPosition {
  ReaderPosition reader;
  ScheduleState schedule;
  ReadOrder train_order = ReadOrder::blocks;
  ReadOrder valid_order = ReadOrder::blocks;
  Digest128 data;        ///< DataReader::index_digest of the training data
  Digest128 valid_data;  ///< of the validation data; zero: there is none
  BadLineCounts bad_lines;
  std::string numerics;  ///< numerics_fingerprint() of those who trained
};

/// The state as a manifest holds it.
SettingValue state_tree(const JobConfig& config, Trainer& trainer,
                        const TrainingPosition& position);

/// Reads the parts of a configuration or state of a manifest; what is missing or of another kind
/// throws Error{corrupt_data} with the path. Borrows the tree.
class StateReader {
 public:
  StateReader(const SettingValue& tree, std::string path);

  const SettingValue& at(const char* key) const;
  std::int64_t integer(const char* key) const;
  std::string text(const char* key) const;

  TrainingPosition position() const;
  /// Sets the clocks of all optimizers. Throws before it has set one where their number differs.
  void restore_clocks(Trainer& trainer) const;

 private:
  const SettingValue::Array& array(const SettingValue& value, const char* key,
                                   std::size_t size) const;
  std::int64_t integer(const SettingValue& value, const char* key) const;
  double real(const SettingValue& value, const char* key) const;
  Digest128 digest(const char* key) const;
  ReadOrder order(const char* key) const;
  void clock(const SettingValue& value, OptimizerClock& clock) const;
  [[noreturn]] void refuse(const char* key) const;

  const SettingValue& tree_;
  std::string path_;
};

}  // namespace keyshard
