// A source of batches, the same batches on any number of ranks. The position of a reader is (epoch,
// step, records consumed per slice), so a job can go on from a position with another number of
// ranks. Readers call collectives only in their factory, where all ranks check that they see the
// same data.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/batch.hpp"
#include "runtime/digest.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

/// What a batch holds: names in the order of its columns.
struct DataSchema {
  std::vector<std::string> dense;
  std::vector<std::string> features;
  bool weighted = false;                            ///< samples have weights
  std::vector<std::string> weighted_features = {};  ///< features whose ids have weights
  std::vector<std::string> masked_features = {};    ///< features whose ids have a mask

  bool operator==(const DataSchema&) const = default;
};

/// How the records of files come to slices. blocks: a slice reads byte ranges of files; files: the
/// same, where a compressed file is one block; stream: all files are read in one pass, and each
/// step takes the next records and cuts them into slices.
enum class ReadOrder { automatic, blocks, files, stream };

struct ReaderPosition {
  std::int64_t epoch = 0;
  std::int64_t step = 0;               ///< batches of the epoch that were consumed
  std::vector<std::int64_t> consumed;  ///< records consumed per slice [slices]

  bool operator==(const ReaderPosition&) const = default;
};

/// How a job reads: the same on all ranks.
struct ReadPlan {
  std::int64_t batch_size = 0;  ///< samples of a global batch
  std::int64_t slices = 0;
  std::uint64_t seed = 0;
  bool shuffle = true;     ///< false: input order (evaluation, prediction)
  bool drop_last = false;  ///< drops a short last batch; if false, a last batch with fewer samples
                           ///< than slices joins the batch before
};

class DataReader {
 public:
  virtual ~DataReader() = default;

  virtual const DataSchema& schema() const = 0;
  /// Records of an epoch over all ranks.
  virtual std::int64_t records() const = 0;
  virtual std::int64_t steps_per_epoch() const = 0;
  /// Batches of this epoch that were not read yet.
  virtual std::int64_t steps_left() const = 0;

  /// Reads the next batch of this rank's slices; false at the end of an epoch, after which the next
  /// call begins the next epoch. All ranks see the end together. Lines that do not parse are
  /// counted in the batch; bad_lines.hpp decides whether they end the job. Not collective. A
  /// reader may run on a thread of its own, so `next` uses nothing of its communicator but the
  /// progress, which it advances.
  virtual bool next(Batch& batch) = 0;

  /// Never automatic.
  virtual ReadOrder order() const { return ReadOrder::blocks; }

  virtual ReaderPosition position() const = 0;
  /// Goes on from a position. The batch size may have changed since: the rest of the epoch is read
  /// in steps of the new size. Throws Error{invalid_argument} where the position does not fit
  /// the data.
  virtual void seek(const ReaderPosition& position) = 0;

  /// Records of each block, in input order: the grain of the shuffle.
  virtual std::vector<std::int64_t> block_records() const = 0;

  /// Lines for the user about what was found and left out when the data was opened; empty: none.
  virtual std::string note() const { return ""; }

  /// Names the data (sizes and records of blocks), without paths and times.
  virtual Digest128 index_digest() const = 0;

  /// Names what the data contain.
  virtual Digest128 content_digest() const { return index_digest(); }
};

/// Reads the next batch on the main thread of a rank, in the phase `reading`.
inline bool read_next(DataReader& reader, Batch& batch, Progress& progress) {
  const InPhase phase(progress, Phase::reading);
  return reader.next(batch);
}

}  // namespace keyshard
