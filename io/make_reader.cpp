#include "io/make_reader.hpp"

#include "io/archive_file.hpp"
#include "io/byte_source.hpp"
#include "io/generated_reader.hpp"
#include "io/packed_reader.hpp"
#include "io/stream_reader.hpp"
#include "io/text_reader.hpp"
#include "io/vote.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// All files of a split with random access; none where the compressed ones unpack to more than is
/// allowed.
std::vector<std::unique_ptr<ByteSource>> open_sources(const DataOptions& options, Split split,
                                                      Progress& progress) {
  std::vector<std::unique_ptr<ByteSource>> sources;
  std::int64_t left = options.memory_bytes;
  for (const std::string& path : options.files(split)) {
    if (!is_archive(path)) {
      sources.push_back(open_file(path));
      continue;
    }
    const InPhase phase(progress, Phase::unpacking);
    std::string bytes;
    if (!unpack(path, left, progress, bytes)) {
      require(options.order != ReadOrder::blocks, Kind::bad_input,
              "{}: unpacks to more than what is left of data.memory_bytes = {}; raise it, unpack "
              "the file, or set order = \"stream\"",
              path, options.memory_bytes);
      return {};
    }
    left -= static_cast<std::int64_t>(bytes.size());
    sources.push_back(memory_source(path, std::move(bytes)));
  }
  return sources;
}

std::unique_ptr<DataReader> make_reader_of_text(const DataOptions& options, Split split,
                                                const ReadPlan& plan,
                                                Communicator<Cpu>& communicator,
                                                Stream<Cpu>& stream) {
  std::vector<std::unique_ptr<ByteSource>> sources;
  if (options.order != ReadOrder::stream) {
    vote(communicator, [&] { sources = open_sources(options, split, communicator.progress()); });
  }
  if (sources.empty()) {
    return make_stream_reader(options, split, plan, communicator);
  }
  return make_text_reader(options, split, plan, communicator, stream, std::move(sources));
}

}  // namespace

std::unique_ptr<DataReader> make_reader(const DataOptions& options, Split split,
                                        const ReadPlan& plan, Communicator<Cpu>& communicator,
                                        Stream<Cpu>& stream) {
  ReadPlan own = plan;
  own.shuffle = plan.shuffle && options.shuffle;
  if (options.format == DataFormat::generated) {
    return make_generated_reader(options.generator, split, own, communicator);
  }
  require(!options.files(split).empty(), Kind::bad_input,
          "expected files of the {} data: found none", name_of(split));
  if (options.format == DataFormat::packed) {
    return make_packed_reader(options, split, own, communicator);
  }
  return make_reader_of_text(options, split, own, communicator, stream);
}

}  // namespace keyshard
