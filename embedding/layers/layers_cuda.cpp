#include "embedding/layers/field_wise_embedding_impl.hpp"
#include "embedding/layers/squashed_embedding_impl.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {

template class TableLayer<Cuda>;
template class SquashedEmbedding<Cuda>;
template class Embedding<Cuda>;
template class FieldWiseEmbedding<Cuda>;

}  // namespace keyshard
