// The dense side on a CUDA device: its optimizer and its models too, for most of the time that nvcc
// takes for a source goes into headers.
#include "launch/training/dense_optimizer_impl.hpp"
#include "launch/training/dense_side_impl.hpp"
#include "launch/training/models/make_model_impl.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {

template class Model<Cuda>;
template std::unique_ptr<Model<Cuda>> make_model<Cuda>(const ModelOptions&, const ModelShape&);
template class DenseOptimizer<Cuda>;
template class DenseSide<Cuda>;

}  // namespace keyshard
