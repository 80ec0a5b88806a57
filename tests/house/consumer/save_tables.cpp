// Trains two layers on the ranks of an mpirun, saves their tables in the folder argv[1], and prints
// path and digest.
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
  const std::int64_t steps = 3, samples = 2;
  for (std::int64_t step = 0; step < steps; ++step) {
    const auto id = static_cast<Key>(step + world->rank());
    const std::vector<Key> user_ids{id, id + 7}, word_ids{id, 1, 2, id + 9};
    const auto of_users = users.forward(stream, {user_ids, {samples}, {}});
    const auto of_words = words.forward(stream, {word_ids, {samples, 2}, {}});
    users.backward(stream, of_users, of_users.values.data());  // the loss is the sum of x^2 / 2
    words.backward(stream, of_words, of_words.values.data());
    tables.apply(stream, {1.0f, samples * world->size()});
  }
  const std::string path = save_tables(argv[1], tables, stream, {.step = steps});
  const Digest128 digest = state_digest(tables, stream, steps);
  if (world->rank() == 0) {
    std::printf("%s\n%s\n", path.c_str(), digest.hex().c_str());
  }
}
