#include "io/file_system.hpp"

#include <filesystem>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/error.hpp"
#include "tests/io/checkpoint_fixture.hpp"
#include "tests/support/counts.hpp"

namespace keyshard::testing {
namespace {

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

TEST(FileSystem, ErrorsNameThePathAndTheReason) {
  const TestFolder folder;
  LocalFileSystem files;
  const std::string missing = folder / "missing";
  EXPECT_EQ(error_of([&] { files.list(missing); }),
            missing + ": cannot list the folder: No such file or directory");
  EXPECT_EQ(error_of([&] { files.sync(missing); }),
            missing + ": cannot open: No such file or directory");
  files.start_sync(missing);  // a hint: says nothing
  files.write_new(folder / "file", "x");
  files.start_sync(folder / "file");
  EXPECT_EQ(error_of([&] { files.write_new(folder / "file", "y"); }),
            folder / "file" + ": cannot create: File exists");
}

TEST(FileSystem, ListsFilesFoldersAndLinksByName) {
  const TestFolder folder;
  LocalFileSystem files;
  files.make_folders(folder / "c/d");
  files.write_new(folder / "b", "four");
  std::filesystem::create_symlink("b", folder / "a");
  const std::vector<FileEntry> entries = files.list(folder.path());
  ASSERT_EQ(entries.size(), 3);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[0].type, FileType::other);
  EXPECT_EQ(entries[1].type, FileType::file);
  EXPECT_EQ(entries[1].bytes, 4);
  EXPECT_EQ(entries[2].type, FileType::folder);
}

TEST(FileSystem, NeverFollowsALink) {
  const TestFolder folder, other;
  LocalFileSystem files;
  files.write_new(other / "file", "kept");
  std::filesystem::create_symlink(other / "file", folder / "link");
  std::filesystem::create_directory_symlink(other.path(), folder / "folder");
  EXPECT_NE(error_of([&] { read_text(files, folder / "link", 100); }), "");
  files.remove_tree(folder / "link");
  files.remove_tree(folder / "folder");
  EXPECT_EQ(read_text(files, other / "file", 100), "kept");
}

TEST(FileSystem, RenameRefusesATakenName) {
  const TestFolder folder;
  LocalFileSystem files;
  files.make_folder(folder / "a");
  files.make_folder(folder / "b");
  EXPECT_NE(error_of([&] { files.rename(folder / "a", folder / "b"); }).find("it exists"),
            std::string::npos);
  files.write_new(folder / "a/x", "x");
  files.exchange(folder / "a", folder / "b");
  EXPECT_TRUE(files.exists(folder / "b/x"));
  files.remove_tree(folder / "b");
  files.remove_tree(folder / "b");
  EXPECT_FALSE(files.exists(folder / "b"));
}

TEST(FileSystem, TextIsReadWholeAndNotBeyondItsLimit) {
  const TestFolder folder;
  LocalFileSystem files;
  const std::string text(300'000, 'x');
  files.write_new(folder / "text", text);
  EXPECT_EQ(read_text(files, folder / "text", 1 << 20), text);
  EXPECT_NE(error_of([&] { read_text(files, folder / "text", 1000); }), "");
}

TEST(FileSystem, AnOpenFileIsReadFromAnyPlaceUpToItsEnd) {
  const TestFolder folder;
  LocalFileSystem files;
  files.write_new(folder / "letters", "abcdefgh");
  const std::unique_ptr<OpenFile> file = files.open(folder / "letters");
  std::string part(4, '.');
  EXPECT_EQ(file->read(2, std::as_writable_bytes(Span<char>(part))), 4);
  EXPECT_EQ(part, "cdef");
  EXPECT_EQ(file->read(6, std::as_writable_bytes(Span<char>(part))), 2);
  EXPECT_EQ(part, "ghef");
  EXPECT_EQ(file->read(100, std::as_writable_bytes(Span<char>(part))), 0);
  EXPECT_EQ(error_of([&] { files.open(folder / "none"); }),
            folder / "none" + ": cannot open: No such file or directory");
}

TEST(FileDigest, IsTheDigestOfTheDigestsOfBlocksOfFourMebibytes) {
  const TestFolder folder;
  LocalFileSystem files;
  constexpr std::size_t kBlock = 4 << 20;
  std::string content(2 * kBlock + 17, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<char>(i * 2654435761u >> 13);
  }
  files.write_new(folder / "file", content);
  const std::vector<Digest128> blocks{digest_of(content.data(), kBlock),
                                      digest_of(content.data() + kBlock, kBlock),
                                      digest_of(content.data() + 2 * kBlock, 17)};
  const Digest128 expected = digest_of(blocks.data(), 3 * sizeof(Digest128));
  for (const int threads : testing::thread_counts({1, 2, 3})) {
    ThreadPool pool(threads);
    const auto size = static_cast<std::int64_t>(content.size());
    EXPECT_EQ(file_digest(files, folder / "file", size, pool), expected);
    EXPECT_NE(error_of([&] { file_digest(files, folder / "file", size - 1, pool); }), "");
    EXPECT_NE(error_of([&] { file_digest(files, folder / "file", size + 1, pool); }), "");
  }
}

TEST(FolderLock, KeepsASecondJobOutAndNamesTheFirst) {
  const TestFolder folder;
  {
    const FolderLock lock(folder.path());
    const std::string error = error_of([&] { const FolderLock second(folder.path()); });
    EXPECT_NE(error.find(fmt::format("locked by process {}", ::getpid())), std::string::npos)
        << error;
  }
  EXPECT_EQ(error_of([&] { const FolderLock again(folder.path()); }), "");
}

TEST(FolderLock, GoesWithItsProcess) {
  const TestFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(folder.path());
    (void)!::write(ready[1], "x", 1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const std::string error = error_of([&] { const FolderLock lock(folder.path()); });
  EXPECT_NE(error.find(fmt::format("process {}", child)), std::string::npos) << error;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(error_of([&] { const FolderLock lock(folder.path()); }), "");
}

}  // namespace
}  // namespace keyshard::testing
