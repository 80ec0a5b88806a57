// What is in a packed file: the columns of samples, whole, in one HDF5 file of explicit
// little-endian types. Samples lie in input order.
//
//     /labels      f32 [N]
//     /weights     f32 [N]          where samples are weighted
//     /dense       f32 [N x D]      where there are dense columns; after their transforms
//     /id_offsets  i64 [N * F + 1]  bag f of sample b is ids [id_offsets[bF + f], ...[bF + f + 1])
//     /ids         u64 [all ids]    keys: integers, or hashes of strings
//     /id_weights  f32 [all ids]    where ids of a feature have weights; 1 in the other features
//     /blocks      i64 [blocks]     samples that stay together in a shuffle
//     /digests     u64 [pieces x 2] the digest of each piece (packed_rows.hpp), low half first
//
// Attributes of "/": "format" = "keyshard-packed", "version", "schema", JSON with the names of
// "dense" and "features" and the flag "weighted" (and where there are some, the names of
// "weighted_features" and "masked_features"), and "digest", that of schema, blocks and digests.
// Files of version 1 have no digests; they are read without a check.
#pragma once

#include <string>

#include "io/data_reader.hpp"
#include "io/hdf5_file.hpp"

namespace keyshard {

inline constexpr const char* kPackedFormat = "keyshard-packed";
inline constexpr std::int64_t kPackedVersion = 2;
inline constexpr std::int64_t kUncheckedVersion = 1;

/// The attributes of a packed file.
struct PackedContent {
  std::int64_t version = kPackedVersion;
  DataSchema schema;
  std::string schema_text;
  std::string digest;  ///< of the whole file, in hexadecimal digits; empty in version 1

  bool operator==(const PackedContent&) const = default;
};

/// The JSON of a schema.
std::string schema_text(const DataSchema& schema);

/// Writes the attributes of a packed file of this version: its schema as text, and its digest.
void write_content(Hdf5File& file, const std::string& schema, const std::string& digest);

/// Throws Error{corrupt_data} naming the file where it is no packed file of a version that is read,
/// or is of version 1 and has digests.
PackedContent read_content(const Hdf5File& file);

}  // namespace keyshard
