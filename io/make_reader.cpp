#include "io/make_reader.hpp"

#include "io/generated_reader.hpp"
#include "io/packed_reader.hpp"
#include "io/stream_reader.hpp"
#include "io/text_files.hpp"
#include "io/text_reader.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

std::unique_ptr<DataReader> make_reader_of_text(const DataOptions& options, Split split,
                                                const ReadPlan& plan,
                                                Communicator<Cpu>& communicator,
                                                Stream<Cpu>& stream) {
  TextFiles files = open_text_files(options, split, plan.slices, communicator);
  return files.order == ReadOrder::stream
             ? make_stream_reader(options, split, plan, communicator, stream,
                                  std::move(files.files))
             : make_text_reader(options, split, plan, communicator, stream, std::move(files));
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
