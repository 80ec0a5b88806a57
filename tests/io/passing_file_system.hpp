// The local file system behind a place where a test sees, or stops, its calls.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/file_system.hpp"

namespace keyshard::testing {

class PassingFileSystem : public FileSystem {
 public:
  void make_folders(const std::string& path) override { at(path).make_folders(path); }

  void make_folder(const std::string& path) override { at(path).make_folder(path); }

  std::vector<FileEntry> list(const std::string& folder) override {
    return at(folder).list(folder);
  }

  bool exists(const std::string& path) override { return at(path).exists(path); }

  void rename(const std::string& from, const std::string& to) override {
    at(from).rename(from, to);
  }

  void exchange(const std::string& one, const std::string& other) override {
    at(one).exchange(one, other);
  }

  void remove_tree(const std::string& path) override { at(path).remove_tree(path); }

  void start_sync(const std::string& path) override { files_.start_sync(path); }  // a hint

  void sync(const std::string& path) override { at(path).sync(path); }

  void write_new(const std::string& path, const std::string& content) override {
    at(path).write_new(path, content);
  }

  std::unique_ptr<OpenFile> open(const std::string& path) override { return at(path).open(path); }

 protected:
  /// Called in front of each call that may fail.
  virtual void pass(const std::string& path) = 0;

 private:
  LocalFileSystem& at(const std::string& path) {
    pass(path);
    return files_;
  }

  LocalFileSystem files_;
};

}  // namespace keyshard::testing
