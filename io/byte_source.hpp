// Bytes with random access: those of a plain file, or those in memory (an unpacked file, a pipe).
// Readers see no difference.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace keyshard {

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// For messages: the path, with the entry of an archive.
  virtual const std::string& name() const = 0;
  virtual std::int64_t size() const = 0;
  /// Reads `bytes` bytes from `offset` on; fewer only at the end. Thread-safe. Throws Error{io}
  /// with the path.
  virtual void read(std::int64_t offset, std::int64_t bytes, std::string& out) const = 0;
};

/// Whether a file keeps its descriptor, of which a process has about a thousand, or is opened for
/// each read.
enum class Descriptor { kept, per_read };

/// A plain file, read by position. Throws Error{bad_input} with path and reason when it cannot be
/// opened or is no file. The file must still be the same one at each read, and may have grown,
/// of which nothing is seen; where it was written to in another way, `read` throws Error{io}.
std::unique_ptr<ByteSource> open_file(const std::string& path,
                                      Descriptor descriptor = Descriptor::kept);

/// Bytes in memory.
std::unique_ptr<ByteSource> memory_source(std::string name, std::string bytes);

}  // namespace keyshard
