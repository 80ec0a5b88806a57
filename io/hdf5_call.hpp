// Calls of the HDF5 library as keyshard makes them: HDF5 prints nothing, results are checked, and
// the error holds HDF5's own message. Only for the sources of io/hdf5*.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include <hdf5.h>

#include "io/hdf5_file.hpp"
#include "runtime/error.hpp"

namespace keyshard {

static_assert(std::is_same_v<hid_t, std::int64_t>);

/// Keeps HDF5 from printing its errors, on this thread, while it lives.
class Hdf5Silence {
 public:
  Hdf5Silence() {
    // HDF5's own clean-up at the end of a process crashes on files that HDF5 could not close, for
    // example on a full disk. Here every owner closes what it has opened.
    static const herr_t no_clean_up = H5dont_atexit();
    static_cast<void>(no_clean_up);
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }

  ~Hdf5Silence() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

  Hdf5Silence(const Hdf5Silence&) = delete;
  Hdf5Silence& operator=(const Hdf5Silence&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// HDF5's messages about the call that failed: the outermost and the innermost one.
std::string hdf5_complaint();

/// Returns the result of a call; throws with HDF5's message where the call failed.
template <class Result>
Result checked(Result result, const char* action, const std::string& place, Kind kind = Kind::io) {
  require(result >= 0, kind, "{}: HDF5 cannot {}: {}", place, action, hdf5_complaint());
  return result;
}

/// Closes what `id` owns, which writes what HDF5 has kept back; throws with HDF5's message where
/// that fails.
void close_checked(Hdf5Id& id, const char* action, const std::string& place);

Hdf5Id property_list(hid_t kind, const std::string& place);
/// A simple shape of 1 to 4 dimensions.
Hdf5Id make_space(const std::vector<std::int64_t>& shape, const std::string& place);
/// Selects `count` rows from row `begin` on.
void select_rows(hid_t space, std::int64_t begin, std::int64_t count,
                 const std::vector<std::int64_t>& shape, const std::string& place);
/// The little-endian type of elements, in a file and in memory.
Hdf5Id hdf5_type(ElementType type, const std::string& place);

/// Throws unless a dataset is contiguous, unfiltered and inside its file.
void require_contiguous(hid_t dataset, const std::string& place);
/// Throws unless the elements of this shape lie whole and in one piece inside the file.
void require_inside(hid_t file, hid_t dataset, const std::vector<std::int64_t>& shape,
                    std::int64_t element_bytes, const std::string& place);
ElementType element_type(hid_t type, const std::string& place);
std::vector<std::int64_t> shape_of(hid_t dataset, const std::string& place);

}  // namespace keyshard
