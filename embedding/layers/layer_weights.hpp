// The weights of a layer outside of it: the rows of its table as keys and values on the host.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

/// Keys and their values [keys x embedding_size], on the host, in one of three lists: floats for
/// float32 and for the 16-bit floats, to which the table rounds them; doubles for float64; integers
/// for int8, int32 and int64, each of them one that the type has. The other lists are empty.
struct LayerWeights {
  std::string value_dtype = "float32";
  std::int64_t embedding_size = 0;
  std::vector<Key> keys = {};
  std::vector<float> values = {};
  std::vector<double> doubles = {};
  std::vector<std::int64_t> integers = {};

  bool operator==(const LayerWeights&) const = default;
};

/// A weight of a layer as it stands: what it is, not its numbers.
struct WeightView {
  std::string name;  ///< of the table
  std::string key_dtype;
  std::string value_dtype;
  std::int64_t embedding_size = 0;
  std::int64_t size = 0;  ///< rows of this rank

  bool operator==(const WeightView&) const = default;
};

}  // namespace keyshard
