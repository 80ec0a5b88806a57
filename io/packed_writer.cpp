#include "io/packed_writer.hpp"

#include <filesystem>

#include "io/bad_lines.hpp"
#include "io/make_reader.hpp"
#include "io/packed_schema.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kStepRecords = 16'384;

ReadPlan input_order() {
  ReadPlan plan;
  plan.batch_size = kStepRecords;
  plan.slices = 1;
  plan.shuffle = false;
  return plan;
}

/// Numbers of samples and ids, and the samples of each block, without bad lines.
struct Sizes {
  PackedCounts counts;
  std::vector<std::int64_t> blocks;
};

Sizes count(DataReader& reader, Communicator<Cpu>& communicator, std::int64_t bad_lines_allowed) {
  Sizes sizes;
  BadLines bad_lines(bad_lines_allowed);
  std::vector<std::int64_t> ends;  // of blocks, in records
  for (const std::int64_t records : reader.block_records()) {
    ends.push_back((ends.empty() ? 0 : ends.back()) + records);
  }
  sizes.blocks.resize(ends.size());
  Batch batch;
  std::size_t block = 0;
  while (reader.next(batch)) {
    bad_lines.add(communicator, batch);
    sizes.counts.samples += batch.samples();
    sizes.counts.ids += static_cast<std::int64_t>(batch.ids.size());
    for (const std::int64_t record : batch.records) {
      while (record >= ends[block]) {
        ++block;
      }
      ++sizes.blocks[block];
    }
  }
  sizes.counts.bad_lines = bad_lines.counts().total;
  return sizes;
}

/// The datasets of a file, and the next sample and id to write.
class Columns {
 public:
  Columns(Hdf5File& file, const DataSchema& schema, const PackedCounts& counts)
      : features_(static_cast<std::int64_t>(schema.features.size())) {
    const auto dense = static_cast<std::int64_t>(schema.dense.size());
    labels_ = file.create_dataset("labels", ElementType::f32, {counts.samples});
    id_offsets_ =
        file.create_dataset("id_offsets", ElementType::i64, {counts.samples * features_ + 1});
    if (schema.weighted) {
      weights_ = file.create_dataset("weights", ElementType::f32, {counts.samples});
    }
    if (dense > 0) {
      dense_ = file.create_dataset("dense", ElementType::f32, {counts.samples, dense});
    }
    if (counts.ids > 0) {
      ids_ = file.create_dataset("ids", ElementType::u64, {counts.ids});
    }
  }

  void write(Batch& batch) {
    const std::int64_t samples = batch.samples();
    const auto ids = static_cast<std::int64_t>(batch.ids.size());
    for (std::int64_t& offset : batch.id_offsets) {
      offset += id_;
    }
    labels_.write(sample_, samples, batch.labels.data());
    id_offsets_.write(sample_ * features_, samples * features_ + 1, batch.id_offsets.data());
    if (!batch.weights.empty()) {
      weights_.write(sample_, samples, batch.weights.data());
    }
    if (!batch.dense.empty()) {
      dense_.write(sample_, samples, batch.dense.data());
    }
    if (ids > 0) {
      ids_.write(id_, ids, batch.ids.data());
    }
    sample_ += samples;
    id_ += ids;
  }

 private:
  std::int64_t features_;
  std::int64_t sample_ = 0;
  std::int64_t id_ = 0;
  Hdf5Dataset labels_, weights_, dense_, id_offsets_, ids_;
};

void write_file(DataReader& reader, const Sizes& sizes, const std::string& path) {
  Hdf5File file = Hdf5File::create(path);
  write_schema(file, reader.schema());
  file.write("blocks", ElementType::i64, {static_cast<std::int64_t>(sizes.blocks.size())},
             sizes.blocks.data());
  {
    Columns columns(file, reader.schema(), sizes.counts);
    Batch batch;
    while (reader.next(batch)) {
      if (batch.samples() > 0) {
        columns.write(batch);
      }
    }
  }
  file.close();
}

}  // namespace

PackedCounts write_packed(const DataOptions& options, Split split, const std::string& path,
                          Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  require(communicator.size() == 1, Kind::invalid_argument,
          "expected one rank to convert data: found {}", communicator.size());
  require(!std::filesystem::exists(path), Kind::io, "{}: expected no file: found one", path);
  const auto reader = make_reader(options, split, input_order(), communicator, stream);
  const Sizes sizes = count(*reader, communicator, options.max_bad_lines);
  require(sizes.counts.samples > 0, Kind::bad_input, "{}: expected records: found none", path);
  const std::string unfinished = path + ".tmp";
  std::filesystem::remove(unfinished);
  write_file(*reader, sizes, unfinished);
  std::error_code error;
  std::filesystem::rename(unfinished, path, error);
  require(!error, Kind::io, "{}: cannot be renamed: {}", unfinished, error.message());
  return sizes.counts;
}

}  // namespace keyshard
