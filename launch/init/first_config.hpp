// A configuration that trains on a user's files as it stands, made by looking at their first
// records. Each guess stands in it with its reason.
#pragma once

#include <string>
#include <vector>

#include "launch/init/column_guess.hpp"
#include "launch/init/text_syntax.hpp"

namespace keyshard {

/// The files of each split, by the words of their names: "valid", "validation", "val" or "dev";
/// "test" or "testing"; the others are training data.
struct FilesBySplit {
  std::vector<std::string> train, valid, test;
};

FilesBySplit files_by_split(const std::vector<std::string>& files);

struct FirstConfig {
  FilesBySplit files;  ///< as the configuration has them
  TextSyntax syntax;
  std::int64_t valid_skip_lines = -1, test_skip_lines = -1;  ///< -1: as training data
  std::vector<std::string> missing;                          ///< texts of cells without a value
  std::vector<ColumnGuess> columns;
  double records = 0;  ///< of the training files, about; 0: not known
  bool rates = false;  ///< the label is a number, and no class

  /// The configuration as TOML.
  std::string text() const;
};

/// Looks at the files; `label` names the column of the label, empty: it is guessed. Throws
/// Error{bad_input} or Error{invalid_argument} where no configuration can be made, with the reason.
FirstConfig look_at(const FilesBySplit& files, const std::string& label);

}  // namespace keyshard
