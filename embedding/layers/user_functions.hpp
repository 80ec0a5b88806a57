// The functions of a program that configurations of layers name. A program registers them in an
// object of its own and gives it to from_config; there is no registry of the process.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "embedding/layers/output_function.hpp"
#include "embedding/rules/own_rules.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"
#include "runtime/joined.hpp"
#include "runtime/portable.hpp"
#include "runtime/settings.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// Which slot of a FieldWiseEmbedding an id belongs to.
template <Backend B>
struct SlotMap {
  std::string name;  ///< under which it is registered; empty: it is not, and get_config fails
  /// slots[i] = the slot of ids[i], on the device.
  std::function<void(Stream<B>&, Span<const Key> ids, std::int64_t* slots)> map;
};

/// slots[i] = functor(ids[i]).
template <class F>
struct MapSlots {
  F functor;
  const Key* ids;
  std::int64_t* slots;

  KEYSHARD_HD void operator()(std::int64_t i) const { slots[i] = functor(ids[i]); }
};

/// The slot map of a functor with `std::int64_t operator()(Key) const`, KEYSHARD_HD.
template <Backend B, class F>
SlotMap<B> slot_map(std::string name, const F& functor) {
  return {std::move(name), [functor](Stream<B>& stream, Span<const Key> ids, std::int64_t* slots) {
            for_each(stream, ids.size(), MapSlots<F>{functor, ids.data(), slots});
          }};
}

/// The registered functions of a program.
template <Backend B>
struct UserFunctions {
  std::vector<SlotMap<B>> slot_maps;
  std::vector<OutputFunction<B>> output_functions;
  OwnRules rules;
};

/// The function of that name. Throws Error{invalid_argument} with the names of all functions where
/// there is none; `kind` says what is looked for.
template <class Function>
const Function& registered(const std::vector<Function>& functions, const std::string& name,
                           const char* kind) {
  std::vector<std::string> names;
  for (const Function& function : functions) {
    if (!name.empty() && function.name == name) {
      return function;
    }
    names.push_back(function.name);
  }
  fail(Kind::invalid_argument,
       "expected {} that is registered (UserFunctions), of {}: found \"{}\"{}", kind,
       names.empty() ? "none" : joined(names, ", "), name, did_you_mean(name, names));
}

}  // namespace keyshard
