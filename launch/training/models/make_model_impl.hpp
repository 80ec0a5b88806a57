// Makes the model of a configuration, for any device.
#pragma once

#include <memory>

#include "launch/training/models/additive_model_impl.hpp"
#include "launch/training/models/dcn_model_impl.hpp"
#include "launch/training/models/dlrm_model_impl.hpp"

namespace keyshard {

template <Backend B>
std::unique_ptr<Model<B>> make_model(const ModelOptions& options, const ModelShape& shape) {
  require_fitting_shape(options, shape);
  if (options.type == ModelType::dlrm) {
    return std::make_unique<DlrmModel<B>>(options, shape);
  }
  if (options.type == ModelType::dcnv2) {
    return std::make_unique<DcnModel<B>>(options, shape);
  }
  return std::make_unique<AdditiveModel<B>>(options, shape);
}

}  // namespace keyshard
