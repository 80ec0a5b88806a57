#include <cstdio>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/hdf5_file.hpp"
#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard::testing {
namespace {

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string output;
  char part[4096];
  while (const std::size_t got = std::fread(part, 1, sizeof part, pipe)) {
    output.append(part, got);
  }
  const int status = ::pclose(pipe);
  return status == 0 ? output : fmt::format("exit {}: {}", status, output);
}

/// A Python program of FORMATS.md, by its number from 0.
std::string documented_program(int number) {
  std::ifstream in(KEYSHARD_FORMATS);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::string fence = "```python\n";
  std::size_t begin = 0;
  for (int i = 0; i <= number; ++i) {
    begin = text.find(fence, begin) + fence.size();
  }
  return text.substr(begin, text.find("```", begin) - begin);
}

class CheckpointH5py : public ::testing::Test {
 protected:
  void SetUp() override {
    if (output_of("/usr/bin/python3 -c 'import h5py'") != "") {
      GTEST_SKIP() << "needs python3-h5py";
    }
    LocalFileSystem files;
    save(files, folder_.path(), state_, 3);
  }

  std::string run(const std::string& program) {
    std::ofstream(folder_ / "program.py") << program;
    return output_of("/usr/bin/python3 " + (folder_ / "program.py") + " " +
                     (folder_ / "step-000007"));
  }

  TestFolder folder_;
  TestState state_;
};

TEST_F(CheckpointH5py, ReadsShortFloatsAsNumbers) {
  const std::vector<std::uint16_t> halves{0x3C00, 0xBC01, 0x83FF, 0x7BFF},  // float16
      uppers{0x3F80, 0xC049, 0x0001, 0x7F7F};
  Hdf5File file = Hdf5File::create(folder_ / "short.h5");
  file.write("f16", ElementType::f16, {4}, halves.data());
  file.write("bf16", ElementType::bf16, {4}, uppers.data());
  file.close();
  const std::string output =
      run("import h5py, sys, numpy\n"
          "file = h5py.File(sys.argv[1] + '/../short.h5')\n"
          "print(file['f16'].dtype, *file['f16'][:].astype('f8').tolist())\n"
          "print(*file['bf16'].astype('f4')[:].view('u4').tolist())\n");
  EXPECT_EQ(output,
            "float16 1.0 -1.0009765625 -6.097555160522461e-05 65504.0\n" +
                fmt::format("{} {} {} {}\n", 0x3F800000u, 0xC0490000u, 0x00010000u, 0x7F7F0000u));
}

TEST_F(CheckpointH5py, TheTenLinesOfFormatsMdReadEveryTable) {
  const std::string output = run(documented_program(0));
  EXPECT_TRUE(output.starts_with("step 7\n")) << output;
  std::size_t rows = 0;
  for (std::int64_t shard = 0; shard < state_.shards; ++shard) {
    rows += state_.keys_of(0, shard).size();
  }
  for (const std::string& line :
       {fmt::format("user v ({},) ({}, 3)\n", rows, rows), std::string("item/100% v (50,) (50, 2)"),
        std::string("empty v (0,) (0, 4)")}) {
    EXPECT_NE(output.find(line), std::string::npos) << line << output;
  }
}

TEST_F(CheckpointH5py, TheManifestSaysWhereEveryDatasetLies) {
  std::string expected;
  const std::string program = documented_program(1) + R"(
            print(*values.tobytes())
)";
  for (std::size_t t = 0; t < state_.tables().size(); ++t) {
    const TableShape shape = state_.tables()[t];
    for (std::int64_t rank = 0; rank < 3; ++rank) {
      std::vector<Key> keys;  // ascending within a shard
      std::vector<std::vector<std::byte>> columns(1 + shape.columns.size());
      const Range shards = run_of(rank, 3, state_.shards);
      for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
        const std::vector<Key> some = state_.keys_of(t, shard);
        keys.insert(keys.end(), some.begin(), some.end());
        for (std::size_t c = 0; c < shape.columns.size(); ++c) {
          const auto bytes = state_.column_of(shape.columns[c], some);
          columns[c + 1].insert(columns[c + 1].end(), bytes.begin(), bytes.end());
        }
      }
      const auto* begin = reinterpret_cast<const std::byte*>(keys.data());
      columns[0].assign(begin, begin + keys.size() * sizeof(Key));
      for (std::size_t c = 0; c < columns.size(); ++c) {
        expected += fmt::format("{} {} {} ({}, {})\n", shape.name,
                                c == 0 ? "keys" : shape.columns[c - 1].name, rank, keys.size(),
                                c == 0 ? 1 : shape.columns[c - 1].width);
        std::string numbers;
        for (const std::byte byte : columns[c]) {
          numbers += fmt::format("{}{}", numbers.empty() ? "" : " ", static_cast<int>(byte));
        }
        expected += numbers + "\n";
      }
    }
  }
  EXPECT_EQ(run(program), expected);
}

TEST_F(CheckpointH5py, AllRanksShowAsOneWithTheRightRows) {
  std::string expected;
  for (std::int64_t shard = 0; shard < state_.shards; ++shard) {
    const std::vector<Key> keys = state_.keys_of(1, shard);
    const auto bytes = state_.column_of(state_.tables()[1].columns[1], keys);
    const auto* counts = reinterpret_cast<const std::uint32_t*>(bytes.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      expected += fmt::format("{} {} {}\n", shard, keys[i], counts[i]);
    }
  }
  const std::string program = R"(import sys
import h5py
with h5py.File(sys.argv[1] + "/checkpoint.h5", "r") as f:
    table = f["tables/item%2F100%25"]
    begin = table["shard_begin"][:]
    for i, shard in enumerate(table["shards"]):
        for row in range(begin[i], begin[i + 1]):
            print(shard, table["keys"][row], table["count"][row][0])
)";
  EXPECT_EQ(run(program), expected);
  TestState owned = state_;
  owned.owners = {{1}, {2, 0}, {}};
  LocalFileSystem files;
  save(files, folder_.path(), owned, 3);
  EXPECT_EQ(run(program), expected);
  EXPECT_EQ(run(R"(import sys
import h5py
with h5py.File(sys.argv[1] + "/checkpoint.h5", "r") as f:
    print(f["dense/weights"].shape, f["dense/weights"][3][2], f["dense/state/m"][:].sum())
)"),
            fmt::format("(4, 3) {} {}\n", 11. / 8 + 7 + 7, 66. / 8 + 12 * (7 + 7)));
}

}  // namespace
}  // namespace keyshard::testing
