// The numerics of a machine: what the bits of a job depend on beside configuration and data. Ranks
// compare their fingerprints at the start and refuse a difference; a resume with another
// fingerprint warns that bits differ from there on.
#pragma once

#include <string>

namespace keyshard {

/// Names the code path of products, the versions of oneDNN and glibc, and the digest of the results
/// of a fixed computation (products, exp, log, an optimizer step):
/// "avx512_core, oneDNN 2.6.3, glibc 2.36, answers 0123...". Call pin_gemm_code_path first.
std::string numerics_fingerprint();

}  // namespace keyshard
