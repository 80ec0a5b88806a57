#include "runtime/progress.hpp"

namespace keyshard {

const char* name_of(Phase phase) {
  switch (phase) {
    case Phase::starting:
      return "starting";
    case Phase::indexing:
      return "indexing";
    case Phase::unpacking:
      return "unpacking";
    case Phase::reading:
      return "reading";
    case Phase::exchanging:
      return "exchanging";
    case Phase::computing:
      return "computing";
    case Phase::evaluating:
      return "evaluating";
    case Phase::saving:
      return "saving";
    case Phase::syncing:
      return "syncing";
    case Phase::loading:
      return "loading";
    case Phase::ending:
      return "ending";
  }
  return "unknown";
}

}  // namespace keyshard
