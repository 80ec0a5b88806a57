#include "io/make_reader.hpp"

#include "io/archive_file.hpp"
#include "io/byte_source.hpp"
#include "io/generated_reader.hpp"
#include "io/text_reader.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

std::unique_ptr<ByteSource> open_source(const std::string& path, const DataOptions& options,
                                        Progress& progress) {
  if (!is_archive(path)) {
    return open_file(path);
  }
  const InPhase phase(progress, Phase::unpacking);
  std::string bytes;
  require(options.order != ReadOrder::stream, Kind::not_built,
          "{}: order = \"stream\" is not built in this version", path);
  require(unpack(path, options.memory_bytes, bytes), Kind::not_built,
          "{}: unpacks to more than data.memory_bytes = {}, and order = \"stream\" is not built in "
          "this version; raise it, unpack "
          "the file, or use keyshard convert",
          path, options.memory_bytes);
  return memory_source(path, std::move(bytes));
}

}  // namespace

std::unique_ptr<DataReader> make_reader(const DataOptions& options, Split split,
                                        const ReadPlan& plan, Communicator<Cpu>& communicator,
                                        Stream<Cpu>& stream) {
  if (options.format == DataFormat::generated) {
    return make_generated_reader(options.generator, split, plan, communicator);
  }
  require(options.format == DataFormat::text, Kind::not_built,
          "format = \"packed\" is not built in this version");
  std::vector<std::unique_ptr<ByteSource>> sources;
  for (const std::string& path : options.files(split)) {
    sources.push_back(open_source(path, options, communicator.progress()));
  }
  return make_text_reader(options, split, plan, communicator, stream, std::move(sources));
}

}  // namespace keyshard
