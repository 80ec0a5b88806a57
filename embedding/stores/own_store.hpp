// A store of a program: a struct of the program that is a Store (store.hpp), and the function that
// opens it for the table of a rank. A program gives it as `kv_creator`, also as the slow store of
// `tiered`, and registers it (OwnRules::stores), so that a configuration can name it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "embedding/stores/kv_creator.hpp"
#include "embedding/stores/make_store.hpp"
#include "embedding/stores/store.hpp"

namespace keyshard {

/// Opens the store of a table for the shards that a rank owns, and makes it where there is none.
/// Throws where it cannot be reached, and where it holds records of another layout
/// (require_layout). Called on every rank.
using OpenStore =
    std::function<std::unique_ptr<Store>(const RecordLayout& layout, const StoreOwner& owner)>;

struct OwnStore {
  std::string name;  ///< under which it is registered; empty: it is not, and get_config fails
  OpenStore open;
};

/// The store of a program, for `kv_creator` and for OwnRules::stores.
inline OwnStoreRows own_store(std::string name, OpenStore open) {
  return {std::make_shared<const OwnStore>(OwnStore{std::move(name), std::move(open)})};
}

}  // namespace keyshard
