#include "tests/golden/model_case.hpp"

#include <algorithm>

#include "runtime/error.hpp"

namespace keyshard::testing {
namespace {

ModelType type_of(const std::string& name) {
  for (const ModelType type : {ModelType::logistic, ModelType::mlp, ModelType::fm, ModelType::mf,
                               ModelType::widedeep, ModelType::deepfm, ModelType::dlrm}) {
    if (name == name_of(type)) {
      return type;
    }
  }
  fail(Kind::not_built, "expected a model that is built: found {}", name);
}

/// The widths of the hidden layers W1, W2, ...: of all layers but the last, the output layer.
std::vector<std::int64_t> hidden_widths(const GoldenValue& parameters, const std::string& suffix) {
  std::vector<std::int64_t> widths;
  for (int i = 1; parameters.has(fmt::format("W{}{}", suffix, i + 1)); ++i) {
    widths.push_back(parameters[fmt::format("b{}{}", suffix, i)].tensor().shape.at(0));
  }
  return widths;
}

}  // namespace

ModelCase model_case(const std::string& name, const GoldenValue& parameters, std::int64_t features,
                     std::int64_t dim, std::int64_t dense_columns) {
  ModelCase result;
  ModelOptions& options = result.options;
  options.type = type_of(name);
  options.loss = options.type == ModelType::mf ? Loss::squared_error : Loss::log_loss;
  options.hidden = hidden_widths(parameters, "");
  options.bottom = hidden_widths(parameters, "bottom");
  ModelShape& shape = result.data.shape;
  shape.features.assign(static_cast<std::size_t>(features), "feature");
  shape.factor_dims.assign(static_cast<std::size_t>(features), dim);
  shape.dense_columns = options.type == ModelType::mf ? 0 : dense_columns;
  result.model = make_model<Cpu>(options, shape);
  result.parameters.resize(static_cast<std::size_t>(result.model->parameters().size()));
  for (const Parameter& parameter : result.model->parameters().all()) {
    const std::vector<float> values = parameters[parameter.name].tensor().floats();
    require(static_cast<std::int64_t>(values.size()) == parameter.size(), Kind::bad_input,
            "parameter {}: expected {} numbers: found {}", parameter.name, parameter.size(),
            values.size());
    std::copy(values.begin(), values.end(), result.parameters.begin() + parameter.offset);
  }
  return result;
}

void compare_parameters(const std::string& what, const Parameters& parameters,
                        const std::vector<float>& found, const GoldenValue& expected,
                        double tolerance, GoldenCase& one) {
  for (const Parameter& parameter : parameters.all()) {
    const Numbers& numbers = expected[parameter.name].tensor().reals;
    const auto first = found.begin() + parameter.offset;
    one.near(what + parameter.name, std::vector<float>(first, first + parameter.size()), numbers,
             close_to(numbers, tolerance, tolerance));
  }
}

}  // namespace keyshard::testing
