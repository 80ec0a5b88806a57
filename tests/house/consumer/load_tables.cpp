// Loads the tables that save_tables has saved at argv[1], on any number of ranks, and prints path
// and digest.
#include <cstdio>

#include <keyshard/collectives/mpi_session.hpp>
#include <keyshard/embedding/layers/squashed_embedding.hpp>
#include <keyshard/launch/training/table_checkpoint.hpp>
#include <keyshard/launch/training/table_digests.hpp>

using namespace keyshard;

int main(int, char** argv) {
  MpiSession mpi;
  const auto world = mpi.world();
  Stream<Cpu> stream;
  TableSet<Cpu> tables(*world);
  LayerOptions options{.embedding_size = 4, .name = "users"};
  options.optimizer = Adam{};
  Embedding<Cpu> users(tables, options);
  options.name = "words";
  SquashedEmbedding<Cpu> words(tables, options);
  const TableLoad load = load_tables(argv[1], tables, stream);
  const Digest128 digest = state_digest(tables, stream, load.step);
  if (world->rank() == 0) {
    std::printf("%s\n%s\n", argv[1], digest.hex().c_str());
  }
}
