// Vectors with keys that another program has made, in files: a line of text per key, or two arrays
// of numpy. Each rank reads a part of the file, piece by piece; no rank holds the file.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "runtime/portable.hpp"
#include "runtime/text_keys.hpp"

namespace keyshard {

/// Some vectors in the order of the file.
struct VectorPiece {
  std::vector<Key> keys;
  std::vector<float> values;         ///< [keys x width], or doubles, each in the place of two
  std::vector<std::int64_t> places;  ///< of each key: a line from 1, a row from 0
};

/// Adds a number to the values of vectors: as a double, or rounded to a float.
inline void add_number(double number, bool as_double, std::vector<float>& values) {
  if (as_double) {
    const auto halves = std::bit_cast<std::array<float, 2>>(number);
    values.insert(values.end(), halves.begin(), halves.end());
  } else {
    values.push_back(static_cast<float>(number));
  }
}

/// What the vectors are for.
struct VectorFormat {
  std::string table;       ///< for messages, and the key space of strings
  std::int64_t width = 0;  ///< numbers of a vector
  bool strings = false;    ///< keys of text are strings, hashed as those of data; else integers
  TextHash hash = TextHash::xxh3;  ///< of strings
  bool doubles = false;  ///< the numbers are read as doubles, and lie bit for bit in floats
};

class VectorSource {
 public:
  virtual ~VectorSource() = default;

  /// Reads the next vectors of this rank's part; false, and none, at its end. Not collective.
  /// Throws Error{bad_input} naming file and place.
  virtual bool next(VectorPiece& piece) = 0;

  /// A place for messages: "file.txt:12" or "keys.npy[11]".
  virtual std::string place(std::int64_t number) const = 0;

 protected:
  /// Vectors of a piece of about 4 MiB.
  static std::int64_t piece_size(std::int64_t width) {
    return std::max<std::int64_t>(1, (std::int64_t{1} << 20) / std::max<std::int64_t>(width, 1));
  }
};

/// A line per key: the key, then `width` numbers, between blanks or tabs. Empty lines are skipped.
/// Rank r of P reads the lines that begin in its part of the bytes. Collective. Throws
/// Error{bad_input} on all ranks.
std::unique_ptr<VectorSource> text_vectors(const std::string& path, const VectorFormat& format,
                                           Communicator<Cpu>& communicator);

/// FOLDER/keys.npy [n] and FOLDER/values.npy [n x width] (numpy_array.hpp); keys are integers, of
/// strings their hashes. Collective. Throws Error{bad_input} on all ranks.
std::unique_ptr<VectorSource> numpy_vectors(const std::string& folder, const VectorFormat& format,
                                            Communicator<Cpu>& communicator);

}  // namespace keyshard
