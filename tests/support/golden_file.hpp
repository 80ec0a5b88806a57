// Golden files: JSON objects of named sections whose leaves are tensors {"dtype", "shape", "data"}
// or plain values (the README of the golden folder describes them). A file becomes a tree of
// values, whatever its numbers and shapes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace keyshard::testing {

/// Row-major. Only the vector that fits `dtype` is filled.
struct GoldenTensor {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<double> reals;           ///< float32 (narrowed, then widened) and float64
  std::vector<std::int64_t> integers;  ///< int64, uint64 (the same 64 bits), int32 and bool
  std::vector<std::string> strings;    ///< string

  std::vector<float> floats() const { return {reals.begin(), reals.end()}; }

  /// Elements, by the shape.
  std::int64_t size() const;
};

/// A value of the tree. Every getter throws Error{bad_input} naming file and path when the value
/// has another type.
class GoldenValue {
 public:
  using List = std::vector<GoldenValue>;
  using Object = std::vector<std::pair<std::string, GoldenValue>>;  // in the order of the file

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }

  bool is_tensor() const { return std::holds_alternative<GoldenTensor>(value_); }

  bool is_text() const { return std::holds_alternative<std::string>(value_); }

  bool is_flag() const { return std::holds_alternative<bool>(value_); }

  bool flag() const { return get<bool>("a boolean"); }

  std::int64_t integer() const { return get<std::int64_t>("an integer"); }

  /// A plain number, or a tensor of one number.
  double number() const;

  const std::string& text() const { return get<std::string>("a string"); }

  const GoldenTensor& tensor() const { return get<GoldenTensor>("a tensor"); }

  const List& list() const { return get<List>("a list"); }

  const Object& object() const { return get<Object>("an object"); }

  bool has(std::string_view key) const;

  const GoldenValue& operator[](std::string_view key) const;

 private:
  friend class GoldenParser;

  template <class T>
  const T& get(const char* expected) const {
    const T* found = std::get_if<T>(&value_);
    if (found == nullptr) {
      fail_as(expected);
    }
    return *found;
  }

  [[noreturn]] void fail_as(const char* expected) const;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, GoldenTensor, List, Object>
      value_;
  std::string place_;  // "file: path", for messages
};

/// Reads a whole file. Throws Error{io} where it cannot be read, Error{bad_input} where it does not
/// parse.
GoldenValue read_golden(const std::string& path);

}  // namespace keyshard::testing
