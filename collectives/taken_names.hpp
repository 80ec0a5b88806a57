// The names that are taken among what is made on one communicator, as those of layers. Each rank
// keeps its own: ranks that make the same things take the same names.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace keyshard {

class TakenNames : public std::enable_shared_from_this<TakenNames> {
 public:
  /// Takes a name, which stays taken while what this returns lives, also where that is longer than
  /// the communicator. Returns null where the name is taken. Threads may call it.
  std::shared_ptr<const void> take(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (!names_.insert(name).second) {
      return nullptr;
    }
    return {this, [names = shared_from_this(), name](const void*) { names->give_back(name); }};
  }

 private:
  void give_back(const std::string& name) {
    const std::lock_guard lock(mutex_);
    names_.erase(name);
  }

  std::mutex mutex_;
  std::set<std::string> names_;
};

}  // namespace keyshard
