// squashed_layer.json: the options that the layers are given and what get_config holds of them.
// keyshard's config has a key for every option that TFRA's has, and loses none.
#include <functional>
#include <map>
#include <string>

#include "embedding/layers/field_wise_embedding.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/json.hpp"
#include "tests/golden/layer_run.hpp"
#include "tests/golden/sections.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// How an option of the file is given to a layer, and the JSON that a config must hold for it.
using Give = std::function<std::string(LayerOptions&, const GoldenValue&)>;

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string flag_text(bool flag) { return flag ? "true" : "false"; }

std::string give_initializer(LayerOptions& options, const GoldenValue& value) {
  // "Constant" stands for a constant of 0.5; otherwise the number itself is given.
  const double number = value.is_text() ? 0.5 : value.number();
  options.initializer = Constant{static_cast<float>(number)};
  return fmt::format(R"({{"type":"constant","value":{}}})", number);
}

std::string give_policy(LayerOptions& options, const GoldenValue& value) {
  options.restrict_policy = value.text() == "FrequencyRestrictPolicy" ? "frequency" : value.text();
  return quoted(options.restrict_policy.name);
}

template <auto kMember>
std::string give_text(LayerOptions& options, const GoldenValue& value) {
  options.*kMember = value.text();
  return quoted(value.text());
}

template <bool LayerOptions::*kMember>
std::string give_flag(LayerOptions& options, const GoldenValue& value) {
  options.*kMember = value.flag();
  return flag_text(value.flag());
}

const std::map<std::string, Give>& options_by_name() {
  static const std::map<std::string, Give> all{
      {"combiner", give_text<&LayerOptions::combiner>},
      {"key_dtype", give_text<&LayerOptions::key_dtype>},
      {"value_dtype", give_text<&LayerOptions::value_dtype>},
      {"trainable", give_flag<&LayerOptions::trainable>},
      {"bp_v2", give_flag<&LayerOptions::bp_v2>},
      {"keep_distribution", give_flag<&LayerOptions::keep_distribution>},
      {"initializer", give_initializer},
      {"restrict_policy", give_policy},
      {"init_capacity",
       [](LayerOptions& o, const GoldenValue& v) {
         o.init_capacity = v.integer();
         return fmt::format("{}", v.integer());
       }},
      {"max_norm", [](LayerOptions& o, const GoldenValue& v) {
         o.max_norm = v.number();
         return fmt::format("{:.1f}", v.number());
       }}};
  return all;
}

/// The config of a layer, and of the layer that is made of this config.
template <class Layer, class... More>
std::pair<std::string, std::string> configs_of(const LayerOptions& options,
                                               const UserFunctions<Cpu>& functions,
                                               const More&... more) {
  std::pair<std::string, std::string> texts;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const auto another = communicator.duplicate();
    TableSet<Cpu> tables(communicator), others(*another);
    const Layer layer(tables, options, more...);
    texts.first = json_text(layer.get_config());
    const SettingValue config = parse_json(texts.first, "config");
    texts.second = json_text(Layer::from_config(others, config, functions).get_config());
  });
  return texts;
}

std::pair<std::string, std::string> configs_of(const std::string& layer,
                                               const LayerOptions& options, std::int64_t nslots) {
  UserFunctions<Cpu> functions;
  functions.slot_maps = {slot_map<Cpu>("modulo", SlotOfKey{nslots})};
  if (layer == "FieldWiseEmbedding") {
    return configs_of<FieldWiseEmbedding<Cpu>>(options, functions, nslots, functions.slot_maps[0]);
  }
  if (layer == "SquashedEmbedding") {
    return configs_of<SquashedEmbedding<Cpu>>(options, functions);
  }
  return configs_of<BasicEmbedding<Cpu>>(options, functions);
}

void run_config(const GoldenValue& value, GoldenCase& one) {
  const GoldenValue& theirs = value["config"];
  LayerOptions options;
  options.name = "golden";
  options.embedding_size = theirs["embedding_size"].integer();
  std::map<std::string, std::string> wanted;
  for (const auto& [name, given] : value["given"].object()) {
    wanted[name] = options_by_name().at(name)(options, given);
  }
  const std::int64_t nslots = theirs.has("nslots") ? theirs["nslots"].integer() : 1;
  const auto [config, again] = configs_of(value["layer"].text(), options, nslots);
  one.expect(config == again, "expected the config " + config + ": found " + again);
  const SettingValue tree = parse_json(config, "config");
  for (const auto& [name, ignored] : theirs.object()) {
    // The communicator of a layer is no part of its config.
    one.expect(name == "distribute_strategy" || member_of(tree, name) != nullptr,
               "expected an option " + name + ": found none");
  }
  for (const auto& [name, text] : wanted) {
    const SettingValue* mine = member_of(tree, name);
    const std::string found = mine == nullptr ? "none" : json_text(*mine);
    one.expect(found == text, "expected " + name + " = " + text + ": found " + found);
  }
}

}  // namespace

void run_configs(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["configs"].list()) {
    std::string given;
    for (const auto& [name, ignored] : value["given"].object()) {
      given += " " + name;
    }
    report.run("squashed_layer: configs" + given, value["layer"].text(),
               [&](GoldenCase& one) { run_config(value, one); });
  }
}

}  // namespace keyshard::testing
