// Names of layers on one TableSet: which are taken, and in which scopes layers are made. A scope
// stands before the names of what is made in it, as "tower/" in "tower/items/".
#pragma once

#include <set>
#include <string>

#include "runtime/error.hpp"

namespace keyshard {

class NameScopes {
 public:
  /// Inside a scope while it lives. Entries are nested.
  class Entry {
   public:
    Entry(NameScopes& scopes, const std::string& scope)
        : scopes_(scopes), before_(scopes.current_) {
      scopes_.current_ = scope;
    }

    ~Entry() { scopes_.current_ = before_; }

    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    NameScopes& scopes_;
    std::string before_;
  };

  /// The scope of what is made now: empty, or ending in "/".
  const std::string& current() const noexcept { return current_; }

  /// Throws Error{invalid_argument} where a layer has that name.
  void require_free(const std::string& layer) const {
    require(taken_.count(layer) == 0, Kind::invalid_argument,
            "expected a new name for a layer: found \"{}\", which exists; give another name, and "
            "share = \"{}\" to read the same table",
            layer, layer);
  }

  /// Takes the name of a layer for good.
  void take(const std::string& layer) { taken_.insert(layer); }

  /// The error with the present scope before its message, once.
  Error named(const Error& error) const {
    const bool has_scope = error.text().compare(0, current_.size(), current_) == 0;
    return has_scope ? error
                     : Error(error.kind(), current_ + ": " + error.text(), __FILE__, __LINE__);
  }

 private:
  std::string current_;
  std::set<std::string> taken_;
};

}  // namespace keyshard
