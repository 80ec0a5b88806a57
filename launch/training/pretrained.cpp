#include "launch/training/pretrained.hpp"

#include <filesystem>

#include "collectives/vote.hpp"
#include "runtime/error.hpp"

namespace keyshard {

VectorForm form_of(const std::string& path, Communicator<Cpu>& communicator) {
  std::int64_t form = 0;
  vote(communicator, [&] {
    std::error_code error;
    if (communicator.rank() == 0) {
      const bool folder = std::filesystem::is_directory(path, error);
      const bool arrays = std::filesystem::exists(path + "/keys.npy", error) ||
                          std::filesystem::exists(path + "/values.npy", error);
      require(folder || std::filesystem::exists(path, error), Kind::bad_input,
              "{}: expected a text file, a folder with keys.npy and values.npy, or a checkpoint: "
              "found nothing of that name",
              path);
      form = static_cast<std::int64_t>(!folder  ? VectorForm::text
                                       : arrays ? VectorForm::numpy
                                                : VectorForm::checkpoint);
    }
  });
  communicator.all_reduce(Span<std::int64_t>(&form, 1), Reduction::max);
  return static_cast<VectorForm>(form);
}

}  // namespace keyshard
