// What is in a packed file: the columns of samples, whole, in one HDF5 file of explicit
// little-endian types. Samples lie in input order.
//
//     /labels      f32 [N]
//     /weights     f32 [N]          where samples are weighted
//     /dense       f32 [N x D]      where there are dense columns; after their transforms
//     /id_offsets  i64 [N * F + 1]  bag f of sample b is ids [id_offsets[bF + f], ...[bF + f + 1])
//     /ids         u64 [all ids]    keys: integers, or hashes of strings
//     /blocks      i64 [blocks]     samples that stay together in a shuffle
//
// Attributes of "/": "format" = "keyshard-packed", "version", and "schema", JSON with the names of
// "dense" and "features" and the flag "weighted".
#pragma once

#include <string>

#include "io/data_reader.hpp"
#include "io/hdf5_file.hpp"

namespace keyshard {

inline constexpr const char* kPackedFormat = "keyshard-packed";
inline constexpr std::int64_t kPackedVersion = 1;

/// Writes the attributes of a packed file.
void write_schema(Hdf5File& file, const DataSchema& schema);

/// Throws Error{corrupt_data} naming the file where it is no packed file of this version.
DataSchema read_schema(const Hdf5File& file);

}  // namespace keyshard
