// A store of a program by its name: in the configuration of a layer and of a job, and what is
// refused. That it holds rows as every store does is the matter of the suite over all stores.
#include "embedding/stores/own_store.hpp"

#include <gtest/gtest.h>

#include "embedding/layers/options.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/json.hpp"
#include "tests/support/map_store.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

LayerOptions items(const KvCreator& where) {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = 2;
  options.kv_creator = where;
  return options;
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument) << error.text();
    return error.text();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

TEST(OwnStore, IsFoundAgainByItsName) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    UserFunctions<Cpu> functions;
    const OwnStoreRows shelf = map_rows("shelf"), slow = map_rows("slow_shelf");
    functions.rules.stores = {shelf.store, slow.store};
    for (const KvCreator& where : {KvCreator(shelf), KvCreator(TieredRows{1 << 20, slow})}) {
      const auto first = communicator.duplicate(), second = communicator.duplicate();
      TableSet<Cpu> tables(*first), others(*second);
      std::string text;
      {
        const SquashedEmbedding<Cpu> layer(tables, items(where));
        text = json_text(layer.get_config());
        EXPECT_NE(text.find(R"(shelf"})"), std::string::npos) << text;
        const std::string unknown = message_of(
            [&] { SquashedEmbedding<Cpu>::from_config(others, parse_json(text, "config"), {}); });
        EXPECT_NE(unknown.find("shelf\""), std::string::npos) << unknown;
      }
      const auto other =
          SquashedEmbedding<Cpu>::from_config(others, parse_json(text, "config"), functions);
      EXPECT_EQ(other.table().options().kv_creator, where);
      EXPECT_EQ(json_text(other.get_config()), text);
    }
  });
}

TEST(OwnStore, IsNamedByTheConfigurationOfAJob) {
  const SettingValue tree =
      parse_json(R"({"tables": {"a": {"kv_creator": {"type": "shelf"}}}})", "file");
  OwnRules rules;
  const OwnStoreRows shelf = map_rows("shelf");
  rules.stores = {shelf.store};
  const auto report = std::make_shared<SettingsReport>();
  Settings root(tree, "", report);
  const std::vector<GroupDefaults> groups{
      {.name = "main", .table = "", .initializer = "ones", .optimizer = "adagrad"}};
  const EmbeddingOptions options = read_embedding_options(root, {"a"}, groups, {}, 7, rules);
  EXPECT_TRUE(report->messages.empty());
  EXPECT_EQ(options.tables[0].kv_creator, KvCreator(shelf));
}

TEST(OwnStore, IsRefusedWithoutANameOrAStore) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    const SquashedEmbedding<Cpu> unnamed(tables, items(map_rows("")));
    const std::string config = message_of([&] { unnamed.get_config(); });
    EXPECT_NE(config.find("registered under a name"), std::string::npos) << config;
    LayerOptions options = items(OwnStoreRows{});
    options.name = "others";
    const std::string closed = message_of([&] { SquashedEmbedding<Cpu>(tables, options); });
    EXPECT_NE(closed.find("a function that opens it"), std::string::npos) << closed;
    options.kv_creator =
        own_store("none", [](const RecordLayout&, const StoreOwner&) { return nullptr; });
    const std::string none = message_of([&] { SquashedEmbedding<Cpu>(tables, options); });
    EXPECT_NE(none.find("its function returned null"), std::string::npos) << none;
    options.kv_creator = DeviceRows{};
    const std::string device = message_of([&] { SquashedEmbedding<Cpu>(tables, options); });
    EXPECT_NE(device.find("expected host on a CPU"), std::string::npos) << device;
  });
}

}  // namespace
}  // namespace keyshard::testing
