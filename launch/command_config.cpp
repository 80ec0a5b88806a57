#include <filesystem>

#include <fmt/format.h>

#include "launch/commands.hpp"
#include "launch/job_file.hpp"
#include "launch/process.hpp"
#include "launch/reference/effective_config.hpp"
#include "launch/reference/key_reference.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// Whether a word names a file and no key.
bool names_file(const std::string& word) {
  std::error_code error;
  return word.ends_with(".toml") || word.find('/') != std::string::npos ||
         std::filesystem::is_regular_file(word, error);
}

std::string answer_to(const ConfigCommand& command) {
  if (names_file(command.what)) {
    return effective_config(read_job_config(command.what, command.assignments));
  }
  require(command.assignments.empty(), Kind::invalid_argument,
          "--set: expected a configuration file that it changes: found {}",
          command.what.empty() ? "none" : "the key " + command.what);
  const KeyReference reference = make_key_reference(find_all_keys());
  return command.what.empty() ? reference.markdown() : reference.explain(command.what);
}

}  // namespace

int run_config(const ConfigCommand& command) {
  const std::string text = answer_to(command);
  if (launched_rank() == 0) {
    fmt::print("{}", text);
  }
  return kExitDone;
}

}  // namespace keyshard
