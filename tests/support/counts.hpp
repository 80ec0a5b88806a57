// The numbers of ranks and threads that a test takes: all that it names, but at most 3 ranks and 2
// threads under a sanitizer, where each takes ten times as long.
#pragma once

#include <vector>

namespace keyshard::testing {

#ifdef KEYSHARD_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

inline std::vector<int> rank_counts(std::vector<int> all) {
  std::erase_if(all, [](int ranks) { return kSanitized && ranks > 3; });
  return all;
}

inline std::vector<int> thread_counts(std::vector<int> all) {
  std::erase_if(all, [](int threads) { return kSanitized && threads > 2; });
  return all;
}

}  // namespace keyshard::testing
