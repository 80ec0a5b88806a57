// Instantiates the dense side, its models and the sums over ranks for a CUDA device, so that nvcc
// and ptxas accept the sources that a CPU runs. Nothing is linked: the primitives of the device are
// only declared.
#include "collectives/exchange_impl.hpp"
#include "collectives/folded_sum_impl.hpp"
#include "launch/training/dense_optimizer_impl.hpp"
#include "launch/training/dense_side_impl.hpp"
#include "launch/training/models/make_model_impl.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {

template class Exchange<Cuda>;
template class FoldedSum<float, Cuda>;
template class FoldedSum<double, Cuda>;
template double folded_scalar(Communicator<Cuda>&, std::int64_t, const std::vector<double>&,
                              const std::vector<bool>&);
template class Model<Cuda>;
template std::unique_ptr<Model<Cuda>> make_model<Cuda>(const ModelOptions&, const ModelShape&);
template class DenseOptimizer<Cuda>;
template class DenseSide<Cuda>;

}  // namespace keyshard
