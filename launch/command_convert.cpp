#include <fmt/format.h>

#include "io/file_system.hpp"
#include "io/packed_writer.hpp"
#include "launch/commands.hpp"
#include "launch/process.hpp"

namespace keyshard {

int run_convert(const ConvertCommand& command) {
  const JobConfig config = configure(command);
  return with_ranks([&](Communicator<Cpu>& communicator) {
    Stream<Cpu> stream(threads_of(communicator, config));
    LocalFileSystem().make_folders(command.out);
    const std::pair<Split, const char*> splits[] = {
        {Split::train, "train"}, {Split::valid, "valid"}, {Split::test, "test"}};
    for (const auto& [split, name] : splits) {
      const bool generated = config.data.format == DataFormat::generated && split != Split::test;
      if (!generated && config.data.files(split).empty()) {
        continue;
      }
      const std::string path = fmt::format("{}/{}.h5", command.out, name);
      const PackedCounts counts = write_packed(config.data, split, path, communicator, stream);
      fmt::print("{}: {} samples, {} ids, {} bad lines left out\n", path, counts.samples,
                 counts.ids, counts.bad_lines);
      if (!counts.note.empty()) {
        fmt::print("{}\n", counts.note);
      }
    }
    fmt::print("train on it with data.format = \"packed\" and these files\n");
    return kExitDone;
  });
}

}  // namespace keyshard
