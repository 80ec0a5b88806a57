// Runs a layer of the library once over a golden table, forward and backward with one step of SGD,
// on several ranks: rank 0 has the ids, the others have none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/layers/field_wise_embedding.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "tests/support/golden_file.hpp"

namespace keyshard::testing {

/// Rows that are put into a table by hand.
struct GoldenTable {
  std::vector<Key> keys;
  std::vector<float> rows;  ///< [keys x dim]
  std::int64_t dim = 0;
};

std::vector<Key> keys_of(const GoldenTensor& tensor);

/// The table of {"keys", "rows"}.
GoldenTable table_of(const GoldenValue& keys, const GoldenValue& rows);

/// Puts those rows into a table that this rank owns.
void assign(Stream<Cpu>& stream, Table<Cpu>& table, const GoldenTable& rows);

/// Writes a column of the rows into out [keys x width], for keys that this rank owns and that have
/// a row; other places of `out` stay as they are. Throws Error{invalid_argument} where there is no
/// such column.
void copy_rows(Stream<Cpu>& stream, const Table<Cpu>& table, const std::vector<Key>& keys,
               const std::string& column, std::vector<float>& out);

/// The slot map of the golden files: the key modulo the slots.
struct SlotOfKey {
  std::int64_t nslots;

  KEYSHARD_HD std::int64_t operator()(Key key) const { return floor_mod(key, nslots); }
};

struct LayerRun {
  GoldenTable table;
  std::string combiner = "sum";
  std::string empty_bag = "zeros";
  std::int64_t nslots = 0;  ///< of a FieldWiseEmbedding
  float missing = 0;        ///< what absent keys read
  std::vector<Key> ids;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> offsets;  ///< of ragged ids; `shape` is empty then
  std::vector<std::int64_t> outer;    ///< of the lists around these; empty: none
  std::vector<float> upstream;        ///< empty: forward alone
  std::vector<Key> distinct;          ///< whose gradients and rows are asked for

  // Where it runs; results do not depend on it.
  int ranks = 1;
  ExchangeMode exchange = ExchangeMode::rows;
};

struct LayerResult {
  std::vector<std::int64_t> shape;
  std::vector<float> output;
  std::vector<float> gradients;  ///< [distinct x dim], as the table was given them; NaN: none
  std::vector<float> rows;       ///< [distinct x dim] after one step with rate 1; NaN: no row
};

/// Layer: SquashedEmbedding<Cpu>, Embedding<Cpu> or FieldWiseEmbedding<Cpu>.
template <class Layer>
LayerResult run_layer(const LayerRun& run);

}  // namespace keyshard::testing
