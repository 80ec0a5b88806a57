#include "io/checkpoint_folder.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <unistd.h>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::string_view kStep = "step-";
constexpr std::string_view kProbe = ".probe-";
constexpr std::string_view kTemporary = ".tmp-";

}  // namespace

std::string step_name(std::int64_t step) { return fmt::format("{}{:06}", kStep, step); }

std::optional<std::int64_t> step_of(const std::string& name) {
  std::int64_t step = -1;
  if (name.starts_with(kStep)) {
    std::from_chars(name.data() + kStep.size(), name.data() + name.size(), step);
  }
  return step >= 0 && name == step_name(step) ? std::optional(step) : std::nullopt;
}

std::vector<std::int64_t> committed_steps(FileSystem& files, const std::string& folder) {
  std::vector<std::int64_t> steps;
  if (!files.exists(folder)) {
    return steps;
  }
  for (const FileEntry& entry : files.list(folder)) {
    if (const auto step = step_of(entry.name)) {
      require(entry.type == FileType::folder, Kind::corrupt_data,
              "{}/{}: expected a folder: found a file or a symbolic link", folder, entry.name);
      steps.push_back(*step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::string latest_checkpoint(FileSystem& files, const std::string& folder,
                              Communicator<Cpu>& communicator) {
  std::string path;
  vote(communicator, [&] {
    if (communicator.rank() == 0) {
      const std::vector<std::int64_t> steps = committed_steps(files, folder);
      path = steps.empty() ? "" : folder + "/" + step_name(steps.back());
    }
  });
  return broadcast_text(communicator, path);
}

void remove_debris(FileSystem& files, const std::string& folder) {
  for (const FileEntry& entry : files.list(folder)) {
    const bool unfinished =
        entry.name.starts_with(kStep) && entry.name.find(kTemporary) != std::string::npos;
    if (unfinished || entry.name.starts_with(kProbe)) {
      files.remove_tree(folder + "/" + entry.name);
    }
  }
}

void remove_checkpoint(FileSystem& files, const std::string& folder, std::int64_t step) {
  const std::string path = folder + "/" + step_name(step);
  const std::string removed = path + std::string(kTemporary) + "removed";
  files.rename(path, removed);
  files.remove_tree(removed);
}

void require_same_folder(FileSystem& files, const std::string& folder,
                         Communicator<Cpu>& communicator) {
  const std::string probe = folder + "/" + std::string(kProbe) + unique_suffix(communicator);
  vote(communicator, [&] {
    if (communicator.rank() == 0) {
      files.make_folders(folder);
      remove_debris(files, folder);
      files.write_new(probe, "");
      files.make_folder(probe + "-made");
      files.rename(probe + "-made", probe + "-renamed");
      files.sync(folder);
    }
  });
  vote(communicator, [&] {
    require(files.exists(probe), Kind::io,
            "{}: expected the same folder on all ranks: found another than rank 0", folder);
  });
  vote(communicator, [&] {
    if (communicator.rank() == 0) {
      files.remove_tree(probe);
      files.remove_tree(probe + "-renamed");
    }
  });
}

std::string unique_suffix(Communicator<Cpu>& communicator) {
  return broadcast_text(communicator,
                        fmt::format("{}-{}", ::getpid(),
                                    std::chrono::system_clock::now().time_since_epoch().count()));
}

}  // namespace keyshard
