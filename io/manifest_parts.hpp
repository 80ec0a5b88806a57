// Takes a manifest from the values of its text, part by part.
#pragma once

#include <cstdint>
#include <string>

#include "io/manifest.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

/// Takes a manifest from its text: files, dense parts and tables one by one, as the parser reaches
/// their ends, and the rest at the end. `place` stands in front of messages.
class ManifestParts {
 public:
  explicit ManifestParts(std::string place);

  /// Takes an entry of the last member of `root`; returns about how many values it keeps. Throws
  /// Error{corrupt_data} for an entry that is not as `manifest_text` made it.
  std::int64_t take(const SettingValue& root, const SettingValue& entry);

  /// The manifest, after all entries of its lists. Throws Error{corrupt_data} where it contradicts
  /// itself.
  Manifest finish(SettingValue tree);

 private:
  /// Reads, once, what the entries of lists are read by.
  void read_head(const ValueReader& root);

  std::string place_;
  Manifest manifest_;
  bool has_head_ = false;
  std::string list_;  // of the entry that was taken last, and how many of its list were before it
  std::int64_t entries_ = 0;
};

}  // namespace keyshard
