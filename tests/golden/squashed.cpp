// squashed_layer.json: outputs, gradients and one step of the layers, on one rank and on three, in
// both exchange modes.
#include <fmt/format.h>

#include "tests/golden/layer_run.hpp"
#include "tests/golden/sections.hpp"

namespace keyshard::testing {
namespace {

/// Where a case runs.
struct Setting {
  const char* name;
  int ranks;
  ExchangeMode exchange;
};

constexpr Setting kSettings[] = {{"1 rank", 1, ExchangeMode::rows},
                                 {"3 ranks", 3, ExchangeMode::rows},
                                 {"3 ranks, reduced", 3, ExchangeMode::reduced}};

/// The ids and upstream gradients of a case, with the table of the case or else of the file.
LayerRun layer_run(const GoldenValue& file, const GoldenValue& value) {
  const GoldenValue& table = value.has("table") ? value["table"] : file["table"];
  LayerRun run;
  run.table = table_of(table["keys"], table["rows"]);
  run.combiner = value.has("combiner") ? value["combiner"].text() : "sum";
  run.missing = value.has("missing") ? static_cast<float>(value["missing"].number()) : 0.0f;
  if (value.has("ids")) {
    run.ids = keys_of(value["ids"].tensor());
    run.shape = value["ids"].tensor().shape;
  }
  if (value.has("upstream")) {
    run.upstream = value["upstream"].tensor().floats();
    run.distinct = keys_of(value["distinct_keys"].tensor());
  }
  return run;
}

/// check(result, prefix of messages) in every setting.
template <class Layer, class Check>
void in_all_settings(LayerRun run, const Check& check) {
  for (const Setting& setting : kSettings) {
    run.ranks = setting.ranks;
    run.exchange = setting.exchange;
    check(run_layer<Layer>(run), std::string(setting.name) + ": ");
  }
}

/// Whether the output is exact: no floats are added to make it.
bool is_exact(const LayerRun& run) {
  std::int64_t bag = run.shape.size() == 1 ? run.shape[0] : 1;
  for (std::size_t axis = 1; axis < run.shape.size(); ++axis) {
    bag *= run.shape[axis];
  }
  return run.combiner == "min" || run.combiner == "max" ||
         (run.combiner == "sum" && run.offsets.empty() && bag == 1);
}

Numbers output_bounds(bool exact, const Numbers& expected) {
  return exact ? Numbers(expected.size(), 0) : close_to(expected, 1e-5, 1e-6);
}

Numbers gradient_bounds(const Numbers& expected) { return close_to(expected, 1e-5, 2e-6); }

/// Compares with the reference in double, and with TensorFlow's numbers where these are finite.
void compare(const LayerResult& found, bool exact, const GoldenValue& value, const std::string& at,
             GoldenCase& one) {
  one.equal(at + "shape", found.shape, value["output"].tensor().shape);
  for (const char* output : {"output64", "output"}) {
    if (value.has(output)) {
      const Numbers& numbers = value[output].tensor().reals;
      one.near(at + output, found.output, numbers, output_bounds(exact, numbers));
    }
  }
  const auto compare_rows = [&](const char* name, const std::vector<float>& rows) {
    const Numbers& numbers = value[name].tensor().reals;
    one.near(at + name, rows, numbers, gradient_bounds(numbers));
  };
  compare_rows("key_gradient64", found.gradients);
  if (!value.has("contract")) {
    compare_rows("key_gradient", found.gradients);
  }
  if (!value.has("contract") && value.has("rows_after_sgd_lr1")) {
    compare_rows("rows_after_sgd_lr1", found.rows);
  }
}

void run_rectangle(const GoldenValue& file, const GoldenValue& value, GoldenCase& one) {
  const LayerRun run = layer_run(file, value);
  in_all_settings<SquashedEmbedding<Cpu>>(run,
                                          [&](const LayerResult& found, const std::string& at) {
                                            compare(found, is_exact(run), value, at, one);
                                          });
}

void run_rectangles(const GoldenValue& file, const char* section, Report& report) {
  for (const GoldenValue& value : file[section].list()) {
    report.run(fmt::format("squashed_layer: {} {}", section, value["combiner"].text()),
               value["name"].text(), [&](GoldenCase& one) { run_rectangle(file, value, one); });
  }
}

}  // namespace

void run_squashed(const GoldenValue& file, Report& report) {
  run_rectangles(file, "squashed", report);
}

void run_small(const GoldenValue& file, Report& report) { run_rectangles(file, "small", report); }

void run_ragged(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["ragged"].list()) {
    report.run("squashed_layer: ragged " + value["combiner"].text(), value["name"].text(),
               [&](GoldenCase& one) {
                 LayerRun run = layer_run(file, value);
                 run.ids = keys_of(value["values"].tensor());
                 run.offsets = value["offsets"].tensor().integers;
                 const GoldenTensor& output = value["contract"]["output64"].tensor();
                 const Numbers& gradient = value["contract"]["key_gradient64"].tensor().reals;
                 in_all_settings<SquashedEmbedding<Cpu>>(run, [&](const LayerResult& found,
                                                                  const std::string& at) {
                   one.equal(at + "shape", found.shape, output.shape);
                   one.near(at + "output", found.output, output.reals,
                            output_bounds(is_exact(run), output.reals));
                   one.near(at + "gradient", found.gradients, gradient, gradient_bounds(gradient));
                 });
               });
  }
}

/// The reference of variance and std is unstable on ragged ids: these are not compared. Others have
/// no reference.
void run_ragged_two_axes(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["ragged_two_axes"].list()) {
    if (!value["pooling_of_right_lookup"].is_tensor()) {
      continue;
    }
    LayerRun run = layer_run(file, value);
    run.ids = keys_of(value["values"].tensor());
    run.offsets = value["inner_offsets"].tensor().integers;
    run.outer = value["outer_offsets"].tensor().integers;
    const GoldenTensor& expected = value["pooling_of_right_lookup"].tensor();
    report.run("squashed_layer: ragged_two_axes", run.combiner, [&](GoldenCase& one) {
      in_all_settings<SquashedEmbedding<Cpu>>(
          run, [&](const LayerResult& found, const std::string& at) {
            one.equal(at + "shape", found.shape, expected.shape);
            if (run.combiner != "variance" && run.combiner != "std") {
              one.near(at + "output", found.output, expected.reals,
                       output_bounds(false, expected.reals));
            }
          });
    });
  }
}

void run_empty(const GoldenValue& file, Report& report) {
  struct Form {
    const char* part;
    const char* empty_bag;
    const char* expected;
  };

  for (const GoldenValue& value : file["empty"].list()) {
    for (const Form& form :
         {Form{"empty", "zeros", "contract"}, Form{"empty as TensorFlow", "tf", "tfra"}}) {
      report.run(fmt::format("squashed_layer: {} {}", form.part, value["combiner"].text()),
                 value["name"].text(), [&](GoldenCase& one) {
                   LayerRun run = layer_run(file, value);
                   run.empty_bag = form.empty_bag;
                   for (const GoldenValue& extent : value["ids_shape"].list()) {
                     run.shape.push_back(extent.integer());
                   }
                   const GoldenTensor& expected = value[form.expected].tensor();
                   in_all_settings<SquashedEmbedding<Cpu>>(
                       run, [&](const LayerResult& found, const std::string& at) {
                         one.equal(at + "shape", found.shape, expected.shape);
                         one.near(at + "output", found.output, expected.reals,
                                  Numbers(expected.reals.size(), 0));
                       });
                 });
    }
  }
}

void run_embedding(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["embedding"].list()) {
    const std::size_t rank = value["ids"].tensor().shape.size();
    report.run("squashed_layer: embedding", fmt::format("rank{}", rank), [&](GoldenCase& one) {
      in_all_settings<Embedding<Cpu>>(layer_run(file, value),
                                      [&](const LayerResult& found, const std::string& at) {
                                        compare(found, true, value, at, one);
                                      });
    });
  }
}

void run_field_wise(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["field_wise"].list()) {
    const std::string& combiner = value["combiner"].text();
    const std::string shape = fmt::format("[{}]", fmt::join(value["ids"].tensor().shape, ", "));
    report.run("squashed_layer: field_wise " + combiner, shape, [&](GoldenCase& one) {
      LayerRun run = layer_run(file, value);
      run.nslots = value["nslots"].integer();
      in_all_settings<FieldWiseEmbedding<Cpu>>(
          run, [&](const LayerResult& found, const std::string& at) {
            compare(found, false, value, at, one);
          });
    });
  }
}

}  // namespace keyshard::testing
