// Consecutive samples of one packed file in memory, and the digest that names them. A block of a
// file is cut into pieces of 1,024 samples (the last piece has the rest); each piece has a digest
// in the file, and is checked when it is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/data_options.hpp"
#include "runtime/digest.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

inline constexpr std::int64_t kPieceSamples = 1024;

struct PackedRows {
  std::int64_t first_record = 0;  ///< in input order, over all files
  std::vector<float> labels, weights, dense;
  std::vector<std::int64_t> id_offsets;  ///< of the file: bags of these samples, and one more
  std::vector<Key> ids;
  std::vector<float> id_weights;  ///< of the ids; empty where no feature has weights

  std::int64_t samples() const { return std::ssize(labels); }

  /// The digest of samples [first, first + count): that of the digests of their labels, weights,
  /// dense values, id_offsets (one more than they have bags), ids, and where there are some the
  /// weights of the ids.
  Digest128 digest(std::int64_t first, std::int64_t count) const;
};

/// Throws Error{bad_input} naming `path` and the sample where a number is not finite, a weight is
/// below 0, or a label is not one of `labels`. `first` is the number of the first sample.
void check_numbers(const PackedRows& rows, const LabelRange& labels, const std::string& path,
                   std::int64_t first);

/// Pieces of blocks of these samples, before each block and in all [blocks + 1].
std::vector<std::int64_t> pieces_before(const std::vector<std::int64_t>& blocks);

/// What names a whole file: its schema, its blocks and the digests of its pieces.
Digest128 packed_digest(const std::string& schema, const std::vector<std::int64_t>& blocks,
                        const std::vector<Digest128>& pieces);

}  // namespace keyshard
