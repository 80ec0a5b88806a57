// The reference of all keys: complete by itself, the same as the page in docs, and what it says of
// some keys by hand.
#include "launch/reference/key_reference.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "launch/reference/key_search.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

const FoundKeys& all_keys() {
  static const FoundKeys kFound = find_all_keys();
  return kFound;
}

const KeyReference& reference() {
  static const KeyReference kReference = make_key_reference(all_keys());
  return kReference;
}

bool has_fault(const FoundKeys& found, const std::string& fault) {
  const std::vector<std::string> faults = make_key_reference(found).faults;
  return std::find(faults.begin(), faults.end(), fault) != faults.end();
}

TEST(KeyReference, DescribesEveryKeyThatIsReadAndNoOther) {
  EXPECT_EQ(joined(reference().faults, "\n"), "");
}

TEST(KeyReference, FindsAFaultInAKeyThatNobodyDescribes) {
  FoundKeys found = all_keys();
  found.asked.keys["job.speed"] = {"integer", value_of(std::int64_t{1})};
  EXPECT_TRUE(has_fault(found, "job.speed: read, but described 0 times"));
}

TEST(KeyReference, FindsAFaultInADescriptionOfAKeyThatNobodyReads) {
  static constexpr KeyMeaning kKeys[] = {{"speed", "", "of the job"}};
  static constexpr KeyTable kTable{"Speed", "", kKeys};
  FoundKeys found = all_keys();
  found.asked.tables.emplace_back("job", &kTable);
  EXPECT_TRUE(has_fault(found, "job.speed: described, but nothing reads it"));
}

TEST(KeyReference, FindsAFaultInAKeyThatIsDescribedTwice) {
  static constexpr KeyMeaning kKeys[] = {{"seed", "", "of the job"}};
  static constexpr KeyTable kTable{"Seeds", "", kKeys};
  FoundKeys found = all_keys();
  found.asked.tables.emplace_back("job", &kTable);
  EXPECT_TRUE(has_fault(found, "job.seed: read, but described 2 times"));
}

TEST(KeyReference, IsThePageOfTheDocumentation) {
  std::ifstream file(KEYSHARD_SOURCE_DIR "/docs/configuration.md");
  std::ostringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), reference().markdown())
      << "keyshard config > docs/configuration.md writes the page anew";
}

TEST(KeySearch, FindsKeysThatAreReadOnlyWhereOthersAreGiven) {
  for (const char* path :
       {"job.schedule.warmup_steps", "data.split.by", "data.columns[0].hash",
        "data.columns[0].max_length", "embedding.kv_creator.slow.timeout_ms",
        "embedding.linear.optimizer.l2_shrinkage", "tables.NAME.initializer.values",
        "tables.NAME.pretrained", "model.optimizer.rho"}) {
    const auto found = all_keys().asked.keys.find(path);
    ASSERT_NE(found, all_keys().asked.keys.end()) << path;
    EXPECT_NE(found->second.type, "") << path;
  }
}

TEST(KeyReference, SaysTypeBoundsDefaultUnitAndResumeOfAKey) {
  EXPECT_EQ(reference().explain("job.batch_size"),
            "job.batch_size\n"
            "  meaning  of a step, over all ranks; a multiple of `slices`\n"
            "  type     integer from 1 to 2147483648\n"
            "  default  `4096`\n"
            "  unit     samples\n"
            "  resume   warns\n");
}

TEST(KeyReference, SaysUnderWhichWordsAKeyIsReadAndWhichDefaultItHas) {
  const std::string entry = reference().explain("model.loss");
  EXPECT_NE(entry.find("`\"log_loss\"`; `\"squared_error\"` where type is mf\n"), std::string::npos)
      << entry;
  const std::string nesterov = reference().explain("embedding.optimizer.nesterov");
  EXPECT_NE(nesterov.find("; only where type is momentum\n"), std::string::npos) << nesterov;
}

TEST(KeyReference, SaysThatADefaultOutsideOfTheBoundsIsNone) {
  const std::string entry = reference().explain("data.columns.index");
  EXPECT_NE(entry.find("type     integer of at least 0\n  default  none\n"), std::string::npos)
      << entry;
}

TEST(KeyReference, FindsAKeyByTheNameOfATableAndTheNumberOfAColumn) {
  EXPECT_EQ(reference().explain("tables.users.seed"), reference().explain("tables.NAME.seed"));
  EXPECT_EQ(reference().explain("data.columns[7].role"), reference().explain("data.columns.role"));
}

TEST(KeyReference, FindsAKeyOfATableWhoseNameHasDots) {
  for (const char* path : {"tables.a.b.dim", "tables.a.b.c.dim", "tables.\"a.b\".dim",
                           "tables.'a.b'.dim", "tables.\"dim\".dim"}) {
    EXPECT_EQ(reference().explain(path), reference().explain("tables.NAME.dim")) << path;
  }
  EXPECT_EQ(reference().explain("tables.a.b.optimizer.type"),
            reference().explain("tables.NAME.optimizer.type"));
  // A key that a table of the shortest name has is that key.
  EXPECT_EQ(reference().explain("tables.a.optimizer.type"),
            reference().explain("tables.NAME.optimizer.type"));
  EXPECT_EQ(reference().explain("tables.\"a.b\""), reference().explain("tables.NAME"));
}

TEST(KeyReference, NamesTheNearestKeyBehindTheNameOfATableWithDots) {
  for (const char* path : {"tables.a.b.dimm", "tables.\"a.b\".dimm"}) {
    try {
      reference().explain(path);
      FAIL() << "expected an error";
    } catch (const Error& error) {
      EXPECT_NE(error.text().find("did you mean \"tables.NAME.dim\"?"), std::string::npos)
          << error.text();
    }
  }
}

TEST(KeyReference, ExplainsAllKeysOfOneNameAndAllKeysOfATable) {
  const std::string seeds = reference().explain("seed");
  for (const char* path : {"job.seed\n", "data.split.seed\n", "tables.NAME.seed\n"}) {
    EXPECT_NE(seeds.find(path), std::string::npos) << path;
  }
  const std::string checkpoint = reference().explain("checkpoint");
  EXPECT_NE(checkpoint.find("checkpoint.at_end\n"), std::string::npos) << checkpoint;
}

TEST(KeyReference, NamesTheNearestKeyOfAWrongOne) {
  try {
    reference().explain("job.bach_size");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    EXPECT_NE(std::string(error.text()).find("did you mean \"job.batch_size\"?"), std::string::npos)
        << error.text();
  }
}

}  // namespace
}  // namespace keyshard
