#include "launch/training/models/model_options.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "launch/training/job_keys.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

constexpr std::array<const char*, 8> kNames{"logistic", "mlp",    "fm",   "mf",
                                            "widedeep", "deepfm", "dlrm", "dcnv2"};

ModelType type_named(const std::string& name) {
  std::size_t number = 0;
  while (number + 1 < kNames.size() && name != kNames[number]) {
    ++number;
  }
  return static_cast<ModelType>(number);
}

bool has_bottom(ModelType type) { return type == ModelType::dlrm; }

/// Says that a model of this type has no such layers, and which types have: those of `has`.
std::string without_layers(ModelType type, const char* layers, bool (*has)(ModelType)) {
  std::vector<std::string> types;
  for (const char* name : kNames) {
    if (has(type_named(name))) {
      types.push_back(fmt::format("\"{}\"", name));
    }
  }
  return fmt::format("expected model.type = {}, which has {} layers: found \"{}\"",
                     joined(types, " or "), layers, name_of(type));
}

/// Reads widths of layers; widths that the model does not use are a problem.
std::vector<std::int64_t> read_widths(Settings& settings, const char* key, ModelType type,
                                      bool (*has)(ModelType), std::vector<std::int64_t> otherwise) {
  const bool given = settings.has(key);
  std::vector<std::int64_t> widths = settings.integers(key, std::move(otherwise));
  if (given && !has(type)) {
    settings.problem(key, without_layers(type, key, has));
  }
  for (const std::int64_t width : widths) {
    if (width < 1 || width > 65536) {
      settings.problem(key, fmt::format("expected widths from 1 to 65536: found {}", width));
      break;
    }
  }
  return widths;
}

/// Reads the keys of cross layers, which are part of a configuration only where the model has some.
void read_cross(Settings& settings, ModelOptions& options) {
  if (options.type == ModelType::dcnv2) {
    options.cross_layers = settings.integer("cross_layers", options.cross_layers, 1, 100);
    options.cross_rank = settings.integer("cross_rank", options.cross_rank, 0, 65536);
    options.stacked = settings.choice("structure", "stacked", {"stacked", "parallel"}) == "stacked";
    return;
  }
  for (const char* key : {"cross_layers", "cross_rank", "structure"}) {
    settings.refuse(key, fmt::format("expected model.type = \"dcnv2\", which has cross layers: "
                                     "found \"{}\"",
                                     name_of(options.type)));
  }
}

}  // namespace

const char* name_of(ModelType type) { return kNames[static_cast<std::size_t>(type)]; }

bool has_pairs(ModelType type) {
  return type == ModelType::fm || type == ModelType::mf || type == ModelType::deepfm;
}

bool has_network(ModelType type) {
  return type == ModelType::mlp || type == ModelType::widedeep || type == ModelType::deepfm ||
         type == ModelType::dlrm || type == ModelType::dcnv2;
}

std::vector<std::string> column_groups(ModelType type) {
  switch (type) {
    case ModelType::logistic:
      return {"linear"};
    case ModelType::mlp:
    case ModelType::dlrm:
    case ModelType::dcnv2:
      return {"factor"};
    default:
      return {"factor", "linear"};
  }
}

std::vector<GroupDefaults> group_defaults(ModelType type) {
  std::vector<GroupDefaults> groups{{.name = "factor",
                                     .table = "",
                                     .dim = 0,
                                     .initializer = "normal",
                                     .optimizer = "sgd",
                                     .combiner = Mean{}},
                                    {.name = "linear",
                                     .table = "linear",
                                     .dim = 1,
                                     .initializer = "zeros",
                                     .optimizer = "",
                                     .combiner = Sum{}}};
  const std::vector<std::string> used = column_groups(type);
  for (GroupDefaults& group : groups) {
    group.used = std::find(used.begin(), used.end(), group.name) != used.end();
  }
  return groups;
}

ModelOptions read_model_options(Settings settings, const OwnRules& rules) {
  settings.describe(model_keys());
  ModelOptions options;
  options.type = type_named(settings.choice("type", "deepfm", {kNames.begin(), kNames.end()}));
  options.hidden = read_widths(settings, "hidden", options.type, has_network, options.hidden);
  options.bottom = read_widths(settings, "bottom", options.type, has_bottom, options.bottom);
  read_cross(settings, options);
  options.batch_norm = settings.flag("batch_norm", false);
  options.batch_norm_momentum = settings.number("batch_norm_momentum", 0.9, 0, 1);
  options.dropout = settings.number("dropout", 0, 0, 0.99);
  if (!has_network(options.type) && (options.batch_norm || options.dropout > 0)) {
    settings.problem(options.batch_norm ? "batch_norm" : "dropout",
                     without_layers(options.type, "hidden", has_network));
  }
  options.l2 = settings.single("l2", 0, 0);
  const char* usual = options.type == ModelType::mf ? "squared_error" : "log_loss";
  options.loss = settings.choice("loss", usual, {"log_loss", "squared_error"}) == "log_loss"
                     ? Loss::log_loss
                     : Loss::squared_error;
  options.optimizer = read_optimizer(settings.table("optimizer", "adam"), Adam{}, rules);
  if (needs_whole_row(options.optimizer)) {
    settings.problem("optimizer", fmt::format("expected an optimizer of single numbers: found {}",
                                              name_of(options.optimizer)));
  }
  settings.finish();
  return options;
}

}  // namespace keyshard
