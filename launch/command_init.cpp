#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "launch/commands.hpp"
#include "launch/init/first_config.hpp"
#include "launch/output_file.hpp"
#include "runtime/error.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

/// The paths as a configuration in `folder` has them: relative where they lie in it.
std::vector<std::string> seen_from(const std::filesystem::path& folder,
                                   const std::vector<std::string>& files) {
  std::vector<std::string> paths;
  for (const std::string& file : files) {
    const std::filesystem::path whole = std::filesystem::absolute(file).lexically_normal();
    const std::filesystem::path relative = whole.lexically_relative(folder);
    const bool inside = !relative.empty() && *relative.begin() != "..";
    paths.push_back(inside ? relative.string() : whole.string());
  }
  return paths;
}

void tell_columns(const FirstConfig& config, std::FILE* out) {
  static const char* const kRoles[] = {"label", "weight", "dense", "id", "ids", "", "", "ignore"};
  for (const ColumnGuess& column : config.columns) {
    fmt::print(out, "  {:6}  {}: {}\n", kRoles[static_cast<std::size_t>(column.options.role)],
               shown(column.options.name), column.why);
  }
}

}  // namespace

int run_init(const InitCommand& command) {
  require(command.overwrite || !std::filesystem::exists(command.out), Kind::invalid_argument,
          "{}: expected a new file: found one; --overwrite replaces it, --out names another",
          command.out);
  FilesBySplit files = files_by_split(command.files);
  files.valid.insert(files.valid.end(), command.valid.begin(), command.valid.end());
  files.test.insert(files.test.end(), command.test.begin(), command.test.end());
  std::vector<std::string> inputs = files.train;
  inputs.insert(inputs.end(), files.valid.begin(), files.valid.end());
  inputs.insert(inputs.end(), files.test.begin(), files.test.end());
  OutputFile file(command.out, inputs);
  FirstConfig config = look_at(files, command.label);
  const std::filesystem::path folder =
      std::filesystem::absolute(command.out).lexically_normal().parent_path();
  for (std::vector<std::string>* list :
       {&config.files.train, &config.files.valid, &config.files.test}) {
    *list = seen_from(folder, *list);
  }
  file.finish(config.text());
  std::FILE* const out = file.is_standard_output() ? stderr : stdout;
  tell_columns(config, out);
  fmt::print(out, "{}: check the guesses there, then: keyshard train {}\n", command.out,
             command.out);
  return kExitDone;
}

}  // namespace keyshard
