// What is wrong with the offsets of bags, as terms of sums.
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

/// Run 0 counts the bags that have not exactly one id, run 1 what is wrong with their offsets.
struct CheckBags {
  const std::int64_t* offsets;  ///< [bags + 1]
  std::int64_t bags;
  std::int64_t ids;

  struct Term {
    const CheckBags* in;
    std::int64_t run;

    KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
      const std::int64_t bag = i - run * in->bags;
      const std::int64_t begin = in->offsets[bag], end = in->offsets[bag + 1];
      if (run == 0) {
        return end == begin + 1 ? 0 : 1;
      }
      const bool wrong =
          end < begin || (bag == 0 && begin != 0) || (bag == in->bags - 1 && end != in->ids);
      return wrong ? 1 : 0;
    }
  };

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t run, const Body& body) const {
    body(Term{this, run});
  }
};

}  // namespace keyshard
