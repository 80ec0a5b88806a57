#include "embedding/layers/layer.hpp"

#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/settings.hpp"

namespace keyshard {
namespace {

void require_built(bool built, const LayerOptions& options, const char* option,
                   const std::string& value, const char* allowed) {
  require(built, Kind::not_built,
          "layer {}: option {} = {} is not built in this version; built is {}", options.name,
          option, value, allowed);
}

}  // namespace

void check(const LayerOptions& options) {
  require(options.embedding_size >= 1, Kind::invalid_argument,
          "layer {}: expected embedding_size >= 1: found {}", options.name, options.embedding_size);
  combiner_of(options.combiner);
  require_built(options.key_dtype == "int64" || options.key_dtype == "uint64", options, "key_dtype",
                options.key_dtype, "int64 or uint64");
  require_built(options.value_dtype == "float32", options, "value_dtype", options.value_dtype,
                "float32");
  require_built(options.dtype_policy == "float32", options, "dtype_policy", options.dtype_policy,
                "float32");
  require(options.empty_bag == "zeros" || options.empty_bag == "tf", Kind::invalid_argument,
          "layer {}: expected empty_bag of zeros, tf: found \"{}\"{}", options.name,
          options.empty_bag, did_you_mean(options.empty_bag, {"zeros", "tf"}));
  require_built(options.restrict_policy.empty(), options, "restrict_policy",
                options.restrict_policy, "none");
  require_built(options.kv_creator.empty() || options.kv_creator == "host", options, "kv_creator",
                options.kv_creator, "host");
  require_built(options.devices.empty(), options, "devices", "a list", "none: all ranks");
  require_built(!options.max_norm.has_value(), options, "max_norm",
                fmt::format("{}", options.max_norm.value_or(0)), "none");
  require_built(!options.bp_v2, options, "bp_v2", "true", "false");
}

}  // namespace keyshard
