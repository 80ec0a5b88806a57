#include "embedding/layers/refused_options.hpp"

#include <fmt/format.h>

namespace keyshard {
namespace {

void refuse_slots(Settings& settings) {
  refuse_here(settings, {"nslots", "slot_map_fn"},
              "a column of ids for each slot, which may share a table: a function that maps ids to "
              "slots is one of a program (FieldWiseEmbedding)");
}

}  // namespace

void refuse_here(Settings& settings, const std::vector<std::string>& keys, const char* instead) {
  for (const std::string& key : keys) {
    settings.refuse(key, fmt::format("expected {}", instead));
  }
}

void refuse_in_table(Settings& settings) {
  refuse_slots(settings);
  refuse_here(settings, {"mask", "padding_id", "id_weights"},
              "this key in the [[data.columns]] of a column of ids");
  refuse_here(settings, {"share"},
              "table = \"NAME\" in the [[data.columns]] of each column that reads the table");
  refuse_here(settings, {"embedding_size"}, "dim, the name of this option in a configuration");
  refuse_here(settings, {"keep_distribution"},
              "none: a configuration keeps its devices as they are written, and a checkpoint loads "
              "with other devices and on any number of ranks");
  refuse_here(
      settings, {"distribute_strategy"},
      "none: the ranks of a job are the processes that mpirun starts (mpirun -n RANKS ...)");
}

void refuse_in_group(Settings& settings) {
  refuse_here(settings,
              {"trainable", "empty_bag", "seed", "kv_creator", "key_dtype", "value_dtype",
               "dtype_policy", "devices"},
              "this key in [embedding] or [tables.NAME], for it is one of whole rows");
}

void refuse_in_column(Settings& settings) {
  refuse_slots(settings);
  refuse_here(settings, {"share"}, "table = \"NAME\", which names the table to read");
}

}  // namespace keyshard
