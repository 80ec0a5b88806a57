// The dense models on host memory.
#include "launch/training/models/make_model_impl.hpp"

namespace keyshard {

template class Model<Cpu>;
template std::unique_ptr<Model<Cpu>> make_model<Cpu>(const ModelOptions&, const ModelShape&);

}  // namespace keyshard
