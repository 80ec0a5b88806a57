#include "io/data_files.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <glob.h>

#include "io/archive_file.hpp"
#include "runtime/joined.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShownNames = 3;

bool is_marker(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  return name.starts_with('.') || (name.starts_with('_') && name.find('.') == std::string::npos);
}

/// `text` as the part of a pattern that matches this text alone.
std::string escaped(const std::string& text) {
  std::string pattern;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') {
      pattern.push_back('\\');
    }
    pattern.push_back(c);
  }
  return pattern;
}

/// The paths that match a pattern, sorted by name.
std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found = {};
  std::vector<std::string> paths;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  globfree(&found);
  return paths;
}

/// Whether a path, or the archive in it, is there.
bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error) || fs::is_regular_file(archive_path(path).file, error);
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// What lies in a folder, sorted by name.
std::vector<std::string> content_of(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Finds the files of each word.
class Finder {
 public:
  Finder(Settings& settings, const char* key, std::string folder)
      : settings_(settings), key_(key), folder_(std::move(folder)) {}

  void add(const std::string& word) {
    const std::string whole = under(folder_, word);
    if (word == "-" || exists(whole) || word.find_first_of("*?[") == std::string::npos) {
      add_path(whole);
      return;
    }
    const std::vector<std::string> matches = matches_of(under(escaped(folder_), word));
    if (matches.empty()) {
      problem(fmt::format("expected files that match \"{}\": found none", shown(whole)));
      return;
    }
    // A pattern that begins with the first character of the markers asks for them.
    const bool wants_markers = is_marker(word);
    for (const std::string& path : matches) {
      add_part(path, wants_markers);
    }
  }

  DataFiles take() { return std::move(found_); }

 private:
  static std::string under(const std::string& folder, const std::string& word) {
    return fs::path(word).is_absolute() || folder.empty() || word == "-"
               ? word
               : (fs::path(folder) / word).string();
  }

  void add_path(const std::string& path) {
    if (path == "-" || !is_folder(path)) {
      found_.files.push_back(path);
      return;
    }
    const std::size_t before = found_.files.size();
    for (const std::string& part : content_of(path)) {
      add_part(part, false);
    }
    if (found_.files.size() == before) {
      problem(fmt::format("expected files in the folder \"{}\": found none", shown(path)));
    }
  }

  void add_part(const std::string& path, bool wants_markers) {
    if (!wants_markers && is_marker(path)) {
      found_.markers.push_back(path);
    } else if (is_folder(path)) {
      problem(
          fmt::format("expected a file: found the folder \"{}\"; name its files by a pattern, "
                      "for example \"{}\"",
                      shown(path), shown(path + "/*")));
    } else {
      found_.files.push_back(path);
    }
  }

  void problem(const std::string& text) { settings_.problem(key_, text); }

  Settings& settings_;
  const char* key_;
  std::string folder_;
  DataFiles found_;
};

}  // namespace

DataFiles read_data_files(Settings& settings, const char* key, const std::string& folder) {
  Finder finder(settings, key, folder);
  for (const std::string& word : settings.texts(key)) {
    finder.add(word);
  }
  return finder.take();
}

std::string some_of(const std::vector<std::string>& names) {
  std::vector<std::string> first;
  for (std::size_t i = 0; i < std::min(names.size(), kShownNames); ++i) {
    first.push_back(shown(names[i]));
  }
  const std::string text = joined(first, ", ");
  return names.size() > kShownNames
             ? fmt::format("{} and {} more", text, names.size() - kShownNames)
             : text;
}

std::string note_of_markers(const DataOptions& options, Split split) {
  const std::vector<std::string>& markers =
      options.markers_by_split[static_cast<std::size_t>(split)];
  return markers.empty() ? ""
                         : fmt::format("data.{}: markers and hidden files are skipped ({}): {}",
                                       name_of(split), markers.size(), some_of(markers));
}

}  // namespace keyshard
