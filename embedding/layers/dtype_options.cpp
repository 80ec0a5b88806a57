#include "embedding/layers/dtype_options.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "embedding/layers/dtype_policy.hpp"
#include "embedding/layers/key_dtype.hpp"
#include "embedding/layers/layer.hpp"
#include "runtime/error.hpp"
#include "runtime/settings.hpp"

namespace keyshard {
namespace {

/// A layer for the checks of a layer: its errors name the place of `settings`.
LayerOptions layer_at(const Settings& settings) {
  LayerOptions layer;
  layer.name = settings.path();
  layer.embedding_size = 1;
  return layer;
}

/// Whether a dtype of layers is none of configurations; records a problem then.
bool refuse_key_dtype(Settings& settings) {
  const std::string dtype = settings.text("key_dtype", "int64");
  const std::vector<std::string>& names = key_dtype_names();
  const bool refused = dtype != "int64" && dtype != "uint64" &&
                       std::find(names.begin(), names.end(), dtype) != names.end();
  if (refused) {
    settings.problem("key_dtype",
                     fmt::format("expected key_dtype int64 or uint64, for ids of data have 64 bits "
                                 "and strings have type = \"string\" in [[data.columns]]: found "
                                 "\"{}\"",
                                 dtype));
  }
  return refused;
}

/// Records a problem where rows are integers, and makes them floats.
void refuse_integers(Settings& settings, DtypeOptions& dtypes) {
  if (!is_integer(dtypes.rows)) {
    return;
  }
  settings.problem(
      "value_dtype",
      fmt::format("expected float32, float16, bfloat16 or float64, for a model computes with what "
                  "its features deliver, and rows of integers are looked up by the layer Embedding "
                  "of a program: found \"{}\"",
                  dtypes.value_dtype));
  dtypes.rows = ValueDtype::float32;
  dtypes.value_dtype = "float32";
}

}  // namespace

void read_key_dtype(Settings& settings) {
  if (!settings.has("key_dtype") || refuse_key_dtype(settings)) {
    return;
  }
  LayerOptions layer = layer_at(settings);
  layer.key_dtype = settings.text("key_dtype", layer.key_dtype);
  try {
    check(layer);
  } catch (const Error& error) {
    settings.problem("key_dtype", error.text());
  }
}

void read_dtypes(Settings& settings, bool trainable, DtypeOptions& dtypes) {
  const auto read = [&](const char* key, std::string& value) {
    if (settings.has(key)) {
      value = settings.text(key, value);
    }
  };
  read("value_dtype", dtypes.value_dtype);
  read("dtype_policy", dtypes.dtype_policy);
  LayerOptions layer = layer_at(settings);
  layer.value_dtype = dtypes.value_dtype;
  layer.trainable = trainable;
  const char* key = "value_dtype";
  try {
    check(layer);
    key = settings.has("dtype_policy") ? "dtype_policy" : key;
    layer.dtype_policy = dtypes.dtype_policy;
    check(layer);
  } catch (const Error& error) {
    settings.problem(key, error.text());
    dtypes.value_dtype = "float32";
    dtypes.dtype_policy.clear();
  }
  dtypes.rows = value_dtype_of(dtypes.value_dtype);
  refuse_integers(settings, dtypes);
  dtypes.outputs = value_dtype_of(
      dtype_policy_of(layer.name, dtypes.dtype_policy, dtypes.value_dtype).compute_dtype);
  if (dtypes.outputs == ValueDtype::float64) {
    dtypes.outputs = ValueDtype::float32;  // in which models compute
  }
}

}  // namespace keyshard
