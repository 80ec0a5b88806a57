// An array in a file of numpy (.npy, versions 1 and 2 of the format), of which rows are read by
// their numbers. Numbers are little-endian and lie in C order. Anything else is refused with what
// was found.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/byte_source.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

class NumpyArray {
 public:
  /// Opens a file and checks its header and its size. Throws Error{bad_input} naming the file.
  explicit NumpyArray(const std::string& path);

  const std::string& path() const { return source_->name(); }

  const std::vector<std::int64_t>& shape() const noexcept { return shape_; }

  /// "<f4" and the like, as the header has it.
  const std::string& type() const noexcept { return type_; }

  /// Numbers [first, first + n) of all, in C order. Throws Error{bad_input} where they are no
  /// integers of 64 or 32 bits, which become keys with their sign.
  void read_keys(std::int64_t first, std::int64_t n, Key* out) const;

  /// The same for floating-point numbers of 16, 32 or 64 bits, as T, float or double; a number that
  /// no float can hold becomes infinite.
  template <class T>
  void read_numbers(std::int64_t first, std::int64_t n, T* out) const;

 private:
  std::string bytes_of(std::int64_t first, std::int64_t n) const;

  std::unique_ptr<ByteSource> source_;
  std::string type_;
  std::vector<std::int64_t> shape_;
  std::int64_t begin_ = 0;  // of the numbers, in bytes
  std::int64_t item_bytes_ = 0;
};

}  // namespace keyshard
