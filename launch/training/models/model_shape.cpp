#include "launch/training/models/model_shape.hpp"

#include <numeric>

#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

void require_equal_dims(const ModelOptions& options, const ModelShape& shape) {
  require(!shape.factor_dims.empty(), Kind::invalid_argument,
          "model \"{}\": expected at least one feature: found none", name_of(options.type));
  for (std::size_t f = 1; f < shape.factor_dims.size(); ++f) {
    require(shape.factor_dims[f] == shape.factor_dims[0], Kind::invalid_argument,
            "model \"{}\": expected features of one dimension: found {} of \"{}\" and {} of \"{}\"",
            name_of(options.type), shape.factor_dims[0], shape.features[0], shape.factor_dims[f],
            shape.features[f]);
  }
}

}  // namespace

std::int64_t ModelShape::factor_columns() const {
  return std::accumulate(factor_dims.begin(), factor_dims.end(), std::int64_t{0});
}

void require_fitting_shape(const ModelOptions& options, const ModelShape& shape) {
  const bool factors = options.type != ModelType::logistic;
  require(!factors || shape.factor_dims.size() == shape.features.size(), Kind::invalid_argument,
          "model \"{}\": expected a dimension for each of {} features: found {}",
          name_of(options.type), shape.features.size(), shape.factor_dims.size());
  if (options.type == ModelType::mf) {
    require(shape.features.size() == 2, Kind::invalid_argument,
            "model \"mf\": expected two features, user and item: found {}: {}",
            shape.features.size(), joined(shape.features, ", "));
    require(shape.dense_columns == 0, Kind::invalid_argument,
            "model \"mf\": expected no dense columns: found {}", shape.dense_columns);
  }
  if (has_pairs(options.type) || options.type == ModelType::dlrm) {
    require_equal_dims(options, shape);
  }
}

}  // namespace keyshard
