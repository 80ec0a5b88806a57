// What a lookup holds between its stages and from forward to backward.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/lookup/asker.hpp"
#include "embedding/lookup/lookup.hpp"
#include "embedding/lookup/owner.hpp"

namespace keyshard {

template <Backend B>
struct LookupState {
  AskerState<B> asker;
  OwnerState<B> owner;
  Buffer<float, B> absent;  // values of absent keys, where bags are pooled in place
  std::vector<std::int64_t> carried;
  LookupTraffic traffic;
};

}  // namespace keyshard
