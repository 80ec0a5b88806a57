// squashed_layer.json: what layers refuse, and the shapes of their outputs.
#include <functional>
#include <map>
#include <memory>
#include <type_traits>

#include "embedding/layers/options.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "runtime/settings.hpp"
#include "tests/golden/sections.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

using Shape = std::vector<std::int64_t>;

LayerOptions options_of(std::int64_t dim, const std::string& combiner = "sum") {
  LayerOptions options;
  options.name = "golden";
  options.embedding_size = dim;
  options.combiner = combiner;
  return options;
}

/// body(layer, stream) on one rank; `Layer` is made of these options.
template <class Layer>
void with_layer(const LayerOptions& options,
                const std::function<void(Layer&, Stream<Cpu>&)>& body) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Layer layer(tables, options);
    body(layer, stream);
  });
}

bool refuses(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.kind() == Kind::invalid_argument;
  }
  return false;
}

bool refuses_construction(const LayerOptions& options) {
  return refuses([&] { with_layer<SquashedEmbedding<Cpu>>(options, [](auto&, Stream<Cpu>&) {}); });
}

template <class Layer>
bool refuses_scalar() {
  return refuses([] {
    with_layer<Layer>(options_of(2), [](Layer& layer, Stream<Cpu>& stream) {
      const std::vector<Key> ids{7};
      layer.forward(stream, IdsView{ids, {}, {}});
    });
  });
}

/// Whether [embedding] with this option in a configuration is a problem.
bool refuses_setting(const char* option, SettingValue::Variant value) {
  const SettingValue embedding{
      SettingValue::Table{{option, SettingValue{std::move(value), "golden:2"}}}, "golden:1"};
  const SettingValue root{SettingValue::Table{{"embedding", embedding}}, "golden:1"};
  const auto problems = std::make_shared<SettingsReport>();
  Settings settings(root, "", problems);
  read_embedding_options(
      settings, {"feature"},
      {{.name = "values", .table = "", .initializer = "normal", .optimizer = "sgd"}}, {}, 0);
  return !problems->messages.empty();
}

/// Whether an `Other` cannot be converted to the type of ids that a layer takes.
template <class Other>
bool holds_out_ids() {
  return !std::is_convertible_v<Other, Span<const Key>>;
}

/// A sparse tensor as TensorFlow has it.
struct SparseIds {
  std::vector<std::vector<std::int64_t>> indices;
  std::vector<Key> values;
  Shape dense_shape;
};

bool refuses_count_before_call() {
  return refuses([] {
    with_layer<SquashedEmbedding<Cpu>>(options_of(2),
                                       [](auto& layer, Stream<Cpu>&) { layer.count_params(); });
  });
}

/// The refusals of TFRA that keyshard shares, by name. TFRA also refuses what
/// is_member_of_keyshard names.
const std::map<std::string, std::function<bool()>>& refusals() {
  static const std::map<std::string, std::function<bool()>> all{
      {"rank0", refuses_scalar<SquashedEmbedding<Cpu>>},
      {"unknown_combiner_at_construction",
       [] { return refuses_construction(options_of(2, "nope")); }},
      {"unknown_combiner_at_call", [] { return refuses_construction(options_of(2, "nope")); }},
      {"callable_combiner", [] { return !std::is_convertible_v<float (*)(float), std::string>; }},
      {"int32_ids", holds_out_ids<std::vector<std::int32_t>>},
      {"float_ids", holds_out_ids<std::vector<float>>},
      {"sparse_ids", [] { return !std::is_convertible_v<SparseIds, IdsView>; }},
      {"count_params_before_call", refuses_count_before_call},
      {"python_list", holds_out_ids<std::vector<std::vector<Key>>>},
      {"unknown_option", [] { return refuses_setting("no_such_option", std::int64_t{1}); }},
      {"embedding_size_string_8", [] { return refuses_setting("dim", std::string("8")); }},
      {"embedding_size_8.9", [] { return refuses_setting("dim", 8.9); }},
      {"embedding_size_x", [] { return refuses_setting("dim", std::string("x")); }},
      {"embedding_size_0", [] { return refuses_construction(options_of(0)); }},
      {"embedding_size_minus_1", [] { return refuses_construction(options_of(-1)); }},
  };
  return all;
}

/// What TFRA refuses and keyshard has.
bool is_member_of_keyshard(const std::string& name) {
  return name == "compute_output_shape" || name == "compute_mask" || name == "two_ragged_axes";
}

template <class Layer>
void check_shape(std::int64_t dim, const Shape& ids, const Shape& expected, GoldenCase& one) {
  with_layer<Layer>(options_of(dim), [&](Layer& layer, Stream<Cpu>& stream) {
    std::size_t count = 1;
    for (const std::int64_t extent : ids) {
      count *= static_cast<std::size_t>(extent);
    }
    const std::vector<Key> keys(count, 0);
    one.equal("compute_output_shape", layer.compute_output_shape(ids), expected);
    one.equal("shape of a call", layer.forward(stream, IdsView{keys, ids, {}}).shape, expected);
  });
}

template <class Layer>
void run_shape(std::int64_t dim, const Shape& ids, const GoldenValue& value, GoldenCase& one) {
  if (!value.has("output_shape")) {
    one.expect(ids.empty() && refuses_scalar<Layer>(), "expected scalar ids to be refused");
    return;
  }
  Shape expected;
  for (const GoldenValue& extent : value["output_shape"].list()) {
    expected.push_back(extent.integer());
  }
  check_shape<Layer>(dim, ids, expected, one);
}

}  // namespace

void run_refused(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["refused"].list()) {
    const std::string& name = value["name"].text();
    const auto refusal = refusals().find(name);
    if (refusal != refusals().end()) {
      report.run("squashed_layer: refused", name, [&](GoldenCase& one) {
        one.expect(refusal->second(), "expected a refusal: found none");
      });
    } else if (!is_member_of_keyshard(name)) {
      report.not_built("squashed_layer: refused " + name);
    }
  }
}

void run_output_shapes(const GoldenValue& file, Report& report) {
  const std::int64_t dim = file["table"]["rows"].tensor().shape.at(1);
  for (const GoldenValue& value : file["output_shapes"].list()) {
    const std::string& layer = value["layer"].text();
    Shape ids;
    for (const GoldenValue& extent : value["ids_shape"].list()) {
      ids.push_back(extent.integer());
    }
    report.run("squashed_layer: output_shapes " + layer, fmt::format("[{}]", fmt::join(ids, ", ")),
               [&](GoldenCase& one) {
                 if (layer == "SquashedEmbedding") {
                   run_shape<SquashedEmbedding<Cpu>>(dim, ids, value, one);
                 } else if (layer == "Embedding") {
                   run_shape<Embedding<Cpu>>(dim, ids, value, one);
                 } else {
                   fail(Kind::not_built, "expected a layer that is built: found {}", layer);
                 }
               });
  }
}

}  // namespace keyshard::testing
