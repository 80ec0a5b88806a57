// The file that a command writes its result to. It is opened before the work whose result it will
// hold, so that a place that cannot be written is found at once, and its old content stays until
// the result is there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keyshard {

class OutputFile {
 public:
  /// Opens a file, or standard output ("-"). Throws Error{invalid_argument} where the path cannot
  /// be written, with the reason, or is a folder or one of `inputs`.
  OutputFile(const std::string& path, const std::vector<std::string>& inputs);
  /// Removes a file that this object has made and that was not finished.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Writes the content in place of the old one and closes the file. Throws Error{io} where not all
  /// of it could be written.
  void finish(std::string_view content);

  /// Whether the content goes to standard output, by whatever name.
  bool is_standard_output() const noexcept { return standard_output_; }

 private:
  std::string path_;
  int file_ = -1;
  bool made_ = false;
  bool standard_output_ = false;
};

}  // namespace keyshard
