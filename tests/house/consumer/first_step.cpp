#include <keyshard/collectives/mpi_session.hpp>
#include <keyshard/embedding/layers/squashed_embedding.hpp>

using namespace keyshard;

int main() {
  MpiSession mpi;
  const auto world = mpi.world();  // all ranks of mpirun
  Stream<Cpu> stream;
  TableSet<Cpu> tables(*world);
  SquashedEmbedding<Cpu> words(tables, {.embedding_size = 8, .name = "words"});
  const std::vector<Key> ids{15, 2, 4, 92, 22, 4};               // three bags of two ids
  const auto output = words.forward(stream, {ids, {3, 2}, {}});  // output.values: [3, 8]
  words.backward(stream, output, output.values.data());          // the loss is the sum of x^2 / 2
  tables.apply(stream, {1.0f, 3 * world->size()});               // one step, of all ranks together
}
