// keyshard init: the configuration that it writes trains as it stands, on generated data and on
// those of ../shared, where they are.
#include "launch/init/first_config.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"
#include "tests/support/shared_folder.hpp"

namespace keyshard::testing {
namespace {

class Init : public ProgramTest {
 protected:
  /// Writes a configuration for files and trains some steps with it. Returns the configuration.
  std::string train_on(const std::string& files) {
    const Ending made = run("init --overwrite " + files);
    EXPECT_EQ(made.code, kExitDone) << made.error;
    const Ending trained =
        run("train keyshard.toml --output out --overwrite --steps 20 --set job.slices=4");
    EXPECT_EQ(trained.code, kExitDone) << trained.error << folder_.read("keyshard.toml");
    return folder_.read("keyshard.toml");
  }

  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
};

TEST_F(Init, AFirstCsvTrains) {
  static const char* const kGenres[] = {"Action|Drama", "Drama|Comedy",  "Comedy",
                                        "Action",       "Action|Comedy", "Drama"};
  std::string text = "user,item,genres,price,clicked\n";
  for (int i = 0; i < 2000; ++i) {
    text +=
        fmt::format("u{},{},{},{}.5,{}\n", i % 37, 1 + i * 7 % 53, kGenres[i % 6], i % 90, i % 2);
  }
  folder_.write("log.csv", text);
  const std::string config = train_on("log.csv");
  EXPECT_TRUE(has(config, "train = [\"log.csv\"]")) << config;
  EXPECT_TRUE(has(config, "split = { valid = 0.1 }"));
  EXPECT_TRUE(has(config, "name = \"clicked\"\nrole = \"label\""));
  EXPECT_TRUE(has(config, "name = \"user\"\nrole = \"id\"\n\n"));
  EXPECT_TRUE(has(config, "name = \"item\"\nrole = \"id\"\ntype = \"integer\""));
  EXPECT_TRUE(has(config, "name = \"genres\"\nrole = \"ids\"\nlist_separator = \"|\""));
  EXPECT_TRUE(has(config, "name = \"price\"\nrole = \"dense\"\ntransform = \"standard\""));
}

TEST_F(Init, TheLogOfTheQuickstartTrains) {
  ASSERT_EQ(run("generate data --records 4000 --valid-records 1000").code, kExitDone);
  const std::string config = train_on("data/train.tsv data/valid.tsv");
  EXPECT_TRUE(has(config, "valid = [\"data/valid.tsv\"]")) << config;
  EXPECT_TRUE(has(config, "name = \"c0\"\nindex = 0\nrole = \"label\""));
  EXPECT_EQ(count(config, "\nrole = \"dense\""), 13u);
  EXPECT_EQ(count(config, "\nrole = \"id\"\n"), 26u);
}

TEST_F(Init, NumbersAloneBecomeIdsOfTheirTenths) {
  std::string text = "x;z;y\n";
  for (int i = 0; i < 3000; ++i) {
    text += fmt::format("{}.25;{};{}\n", i % 211, 0.001 * (i * 7919 % 997), i % 211 > 100 ? 1 : 0);
  }
  folder_.write("a.csv", text);
  EXPECT_EQ(count(train_on("a.csv"), "buckets = ["), 2u);
}

TEST_F(Init, KeepsAConfigurationThatIsThere) {
  folder_.write("a.csv", "user,click\n1,0\n2,1\n1,1\n");
  folder_.write("keyshard.toml", "mine");
  const Ending refused = run("init a.csv");
  EXPECT_EQ(refused.code, kExitUsage);
  EXPECT_TRUE(has(refused.error, "keyshard.toml: expected a new file: found one")) << refused.error;
  EXPECT_EQ(folder_.read("keyshard.toml"), "mine");
}

TEST_F(Init, SaysWhyItMakesNoConfiguration) {
  folder_.write("lists.txt", "0 5 7 9\n1 3\n2 8 8\n3 1 2 5 6\n");
  const Ending lists = run("init lists.txt");
  EXPECT_EQ(lists.code, kExitUsage);
  EXPECT_TRUE(has(lists.error, "expected records with equally many cells")) << lists.error;
  folder_.write("texts.csv", "name,city\na,Rome\nb,Oslo\nc,Bonn\n");
  const Ending none = run("init texts.csv");
  EXPECT_TRUE(has(none.error, "expected a column that can be the label")) << none.error;
  EXPECT_FALSE(exists("keyshard.toml"));
}

TEST(FilesBySplit, AreToldApartByTheirNames) {
  const FilesBySplit files =
      files_by_split({"a/train.csv", "a/valid.csv", "dev.csv", "test-1.csv", "testing/more.csv"});
  EXPECT_EQ(files.train, (std::vector<std::string>{"a/train.csv", "testing/more.csv"}));
  EXPECT_EQ(files.valid, (std::vector<std::string>{"a/valid.csv", "dev.csv"}));
  EXPECT_EQ(files.test, std::vector<std::string>{"test-1.csv"});
  EXPECT_EQ(files_by_split({"latest.csv", "interval.csv", "contest.csv"}).train.size(), 3u);
  EXPECT_EQ(files_by_split({"a.csv", "val_1.csv"}).valid, std::vector<std::string>{"val_1.csv"});
  EXPECT_EQ(files_by_split({"test.csv"}).train, std::vector<std::string>{"test.csv"});
}

TEST_F(Init, MissingNumbersAndLabelsOfOtherFilesAreUnderstood) {
  std::string text = "age,city,state\n", other = "age,city,state\n";
  for (int i = 0; i < 600; ++i) {
    text += fmt::format("{},c{},{}\n", i % 7 == 0 ? "NA" : fmt::format("{}.5", i % 60), i % 9,
                        i % 3 == 0 ? "paid" : "paid_late");
    other += fmt::format("{}.5,c{},{}\n", i % 60, i % 9, i % 3 == 0 ? "paid." : "paid_late");
  }
  folder_.write("pay.csv", text);
  folder_.write("pay-test.csv", other);
  const std::string config = train_on("--label state pay.csv pay-test.csv");
  EXPECT_TRUE(has(config, "test = [\"pay-test.csv\"]")) << config;
  EXPECT_TRUE(has(config, "missing = [\"NA\"]\n")) << config;
  EXPECT_TRUE(has(config, "positive = [\"paid\", \"paid.\"]")) << config;
}

TEST_F(Init, RefusesLabelsWithoutValuesAndFilesThatItWouldOverwrite) {
  folder_.write("a.csv", "x,lab\n1,\n2,\n1,\n");
  folder_.write("v.csv", "x,lab\n1,0\n");
  const Ending empty = run("init a.csv --label lab");
  EXPECT_EQ(empty.code, kExitUsage);
  EXPECT_TRUE(has(empty.error, "expected a label of numbers, or of two texts")) << empty.error;
  const Ending input = run("init a.csv --valid v.csv --out v.csv --overwrite");
  EXPECT_EQ(input.code, kExitUsage);
  EXPECT_TRUE(has(input.error, "found a file of the data")) << input.error;
  EXPECT_EQ(folder_.read("v.csv"), "x,lab\n1,0\n");
}

TEST_F(Init, NamesColumnsThatTheHeaderLeavesUnnamed) {
  std::string text = ",c0,2020,click_count,label\n";
  for (int i = 0; i < 300; ++i) {
    text += fmt::format("{},a{},{},{},{}\n", i, i % 5, i % 4, i % 11, i % 2);
  }
  folder_.write("pandas.csv", text);
  const std::string config = train_on("pandas.csv");
  EXPECT_TRUE(has(config, "name = \"c0_\"\nindex = 0\nrole = \"ignore\"")) << config;
  EXPECT_TRUE(has(config, "name = \"2020\"\nrole = \"id\""));
  EXPECT_TRUE(has(config, "name = \"label\"\nrole = \"label\""));
}

struct SharedFiles {
  const char* files;
  const char* label;
  std::size_t ids;  ///< at least so many columns of ids
};

/// The public data sets, as they lie there.
TEST_F(Init, EveryPublicDataSetTrains) {
  const std::string shared = shared_folder() + "/data/";
  if (!std::filesystem::exists(shared)) {
    GTEST_SKIP() << shared << " is absent";
  }
  for (const auto& [files, label, ids] :
       {SharedFiles{"adult/adult.data.xz {}adult/adult.test.xz", "c14", 8},
        {"criteo-10k/criteo_head10000.tsv.xz", "c0", 26},
        {"avazu-9k/avazu_8999.csv.xz", "click", 15},
        {"frappe_x1r/train.csv.gz {}frappe_x1r/valid.csv.gz", "label", 10},
        {"insteval/insteval.csv.xz", "y", 6},
        {"ml-100k/ml-100k.tar.xz!./u.data", "c2", 2}}) {
    const std::string config = train_on(shared + fmt::format(fmt::runtime(files), shared));
    EXPECT_TRUE(has(config, fmt::format("name = \"{}\"", label)) &&
                has(config.substr(config.find(fmt::format("name = \"{}\"", label)), 60), "label"))
        << files << config;
    EXPECT_GE(count(config, "role = \"id\"\n"), ids) << files << config;
  }
  for (const char* file : {"msweb/anonymous-msweb.data.xz", "ml1m_m1/train.txt.xz"}) {
    const Ending refused = run("init --overwrite " + shared + file);
    EXPECT_EQ(refused.code, kExitUsage);
    EXPECT_TRUE(has(refused.error, "expected records with equally many cells")) << refused.error;
  }
}

}  // namespace
}  // namespace keyshard::testing
