#include "embedding/layers/squashed_embedding_impl.hpp"

namespace keyshard {

template class TableLayer<Cpu>;
template class SquashedEmbedding<Cpu>;
template class Embedding<Cpu>;

}  // namespace keyshard
