// Names of layers on one TableSet: in which scopes layers are made, and of which type the ids of a
// table are. A scope stands before the names of what is made in it, as "tower/"
// in "tower/items": this is the path of a layer, the name of its table and its place in a
// checkpoint.
#pragma once

#include <map>
#include <string>
#include <vector>

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

  /// The paths that a name may mean here, from the innermost scope outward: the name alone is last.
  std::vector<std::string> paths(const std::string& name) const {
    std::vector<std::string> all;
    for (std::string scope = current_; !scope.empty();) {
      all.push_back(scope + name);
      scope.resize(scope.find_last_of('/', scope.size() - 2) + 1);
    }
    all.push_back(name);
    return all;
  }

  /// Throws Error{invalid_argument} where a layer has made other keys of this table from its ids:
  /// one key would then stand for different ids.
  void require_key_dtype(const std::string& layer, const std::string& table,
                         const std::string& key_dtype) const {
    const auto first = first_readers_.find(table);
    if (first != first_readers_.end() && first->second.key_dtype != key_dtype) {
      fail(Kind::invalid_argument,
           "layer {}: expected key_dtype {} of layer {}, which reads the same table {}: found {}",
           layer, first->second.key_dtype, first->second.layer, table, key_dtype);
    }
  }

  /// Notes that a layer reads `table` by keys of this type.
  void add_reader(const std::string& layer, const std::string& table,
                  const std::string& key_dtype) {
    first_readers_.try_emplace(table, Reader{layer, key_dtype});
  }

  /// The error with the present scope before its message, unless the message begins with the scope
  /// or names a layer in it.
  Error named(const Error& error) const {
    const bool has_scope =
        error.text().starts_with(current_) || error.text().starts_with("layer " + current_);
    return has_scope ? error
                     : Error(error.kind(), current_ + ": " + error.text(), __FILE__, __LINE__);
  }

 private:
  struct Reader {
    std::string layer;
    std::string key_dtype;
  };

  std::string current_;
  std::map<std::string, Reader> first_readers_;  // of each table that a layer reads
};

}  // namespace keyshard
