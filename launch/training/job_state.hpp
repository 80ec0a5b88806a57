// What a manifest holds of a training beside tables and weights: the position of the reader, the
// schedule, the clocks of the optimizers, the digests of the data, and the numerics.
#pragma once

#include <cstdint>
#include <string>

#include "io/bad_lines.hpp"
#include "io/data_reader.hpp"
#include "launch/training/schedule.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

/// Where a training stands between two steps, beside its model.
struct TrainingPosition {
  ReaderPosition reader;
  ScheduleState schedule;
  ReadOrder train_order = ReadOrder::blocks;
  ReadOrder valid_order = ReadOrder::blocks;
  Digest128 data;           ///< DataReader::index_digest of the training data
  Digest128 valid_data;     ///< of the validation data; zero: there is none
  Digest128 content;        ///< DataReader::content_digest of the training data; zero: not known
  Digest128 valid_content;  ///< of the validation data; zero: not known, or there is none
  BadLineCounts bad_lines;
  std::string numerics;  ///< numerics_fingerprint() of the ranks that trained

  /// Whether these are the training data of the position.
  bool is_on(const DataReader& train) const {
    return data == train.index_digest() &&
           (content == Digest128{} || content == train.content_digest());
  }

  /// Whether these are its validation data; null: there are none.
  bool is_checked_on(const DataReader* valid) const {
    return valid == nullptr
               ? valid_data == Digest128{}
               : valid_data == valid->index_digest() &&
                     (valid_content == Digest128{} || valid_content == valid->content_digest());
  }
};

/// The part of the state that comes from the trainer.
struct TrainerState {
  std::int64_t slices = 1;
  std::uint64_t seed = 1;
  SettingValue table_clocks;
  SettingValue dense_clock;
  SettingValue dense_tensors;
};

/// The state of a training as a manifest holds it.
SettingValue state_value(TrainerState trainer, const TrainingPosition& position);

/// The position in what state_value made. Throws Error{corrupt_data} with the path of a part that
/// is missing or of another kind.
TrainingPosition position_in(const ValueReader& state);

}  // namespace keyshard
