// What, beside configuration and data, the bits of a job depend on. Ranks compare it at the start
// and refuse to mix; a resume under another one warns that bits differ from there on.
#pragma once

#include <string>

namespace keyshard {

/// Names the code path of products, the versions of oneDNN and glibc, and the digest of a
/// known-answer run (products, exp, log, an optimizer step):
/// "avx512_core, oneDNN 2.6.3, glibc 2.36, answers 0123...". Pin the code path before.
std::string numerics_fingerprint();

}  // namespace keyshard
