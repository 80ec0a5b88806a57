#include "embedding/layers/field_wise_embedding_impl.hpp"
#include "embedding/layers/squashed_embedding_impl.hpp"

namespace keyshard {

template class TableLayer<Cpu>;
template class SquashedEmbedding<Cpu>;
template class Embedding<Cpu>;
template class FieldWiseEmbedding<Cpu>;

}  // namespace keyshard
