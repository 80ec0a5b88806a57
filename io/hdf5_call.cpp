#include "io/hdf5_call.hpp"

#include <bit>
#include <string_view>

namespace keyshard {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read and written unconverted");

constexpr int kMaxRank = 4;

/// Of a message about a call of the system, as "file write failed: time = ..., filename = '...',
/// errno = 28, error message = 'No space left on device', ...", what failed and why: the path
/// stands in the error already.
std::string cause_of(const std::string& message) {
  static constexpr std::string_view kTime = ": time = ", kReason = "error message = '";
  const std::size_t time = message.find(kTime), reason = message.find(kReason);
  if (time == std::string::npos || reason == std::string::npos) {
    return message;
  }
  const std::size_t begin = reason + kReason.size();
  return message.substr(0, time) + ": " + message.substr(begin, message.find('\'', begin) - begin);
}

}  // namespace

std::string hdf5_complaint() {
  std::vector<std::string> lines;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_DOWNWARD,
      [](unsigned, const H5E_error2_t* error, void* data) -> herr_t {
        static_cast<std::vector<std::string>*>(data)->emplace_back(error->desc ? error->desc : "");
        return 0;
      },
      &lines);
  if (lines.empty()) {
    return "no reason given";
  }
  const std::string cause = cause_of(lines.back());
  return lines.size() == 1 ? cause : lines.front() + ": " + cause;
}

Hdf5Id::~Hdf5Id() {
  if (id_ >= 0) {
    const Hdf5Silence silence;
    close();
  }
}

bool Hdf5Id::close() noexcept {
  const std::int64_t id = std::exchange(id_, -1);
  return id < 0 || release_(id) >= 0;
}

void close_checked(Hdf5Id& id, const char* action, const std::string& place) {
  const bool closed = id.close();  // before HDF5 is asked what went wrong
  require(closed, Kind::io, "{}: HDF5 cannot {}: {}", place, action, hdf5_complaint());
}

Hdf5Id property_list(hid_t kind, const std::string& place) {
  return {checked(H5Pcreate(kind), "make properties", place), H5Pclose};
}

namespace {

/// The type that HDF5 has itself; for floats of 16 bits the one that they are made of.
hid_t built_in_type(ElementType type) {
  switch (type) {
    case ElementType::u8:
      return H5T_STD_U8LE;
    case ElementType::i8:
      return H5T_STD_I8LE;
    case ElementType::i32:
      return H5T_STD_I32LE;
    case ElementType::u32:
      return H5T_STD_U32LE;
    case ElementType::i64:
      return H5T_STD_I64LE;
    case ElementType::u64:
      return H5T_STD_U64LE;
    case ElementType::f32:
    case ElementType::f16:
    case ElementType::bf16:
      return H5T_IEEE_F32LE;
    case ElementType::f64:
      return H5T_IEEE_F64LE;
  }
  return H5I_INVALID_HID;
}

}  // namespace

Hdf5Id hdf5_type(ElementType type, const std::string& place) {
  Hdf5Id made(checked(H5Tcopy(built_in_type(type)), "make a type", place), H5Tclose);
  if (type == ElementType::f16 || type == ElementType::bf16) {
    const bool half = type == ElementType::f16;
    const std::size_t fraction = half ? 10 : 7, exponent = half ? 5 : 8;
    checked(H5Tset_fields(made.get(), 15, fraction, exponent, 0, fraction), "make a type", place);
    checked(H5Tset_size(made.get(), 2), "make a type", place);
    checked(H5Tset_ebias(made.get(), half ? 15 : 127), "make a type", place);
  }
  return made;
}

ElementType element_type(hid_t type, const std::string& place) {
  for (const ElementType candidate :
       {ElementType::u8, ElementType::i32, ElementType::u32, ElementType::i64, ElementType::u64,
        ElementType::f32, ElementType::f64, ElementType::f16, ElementType::bf16, ElementType::i8}) {
    const Hdf5Id own = hdf5_type(candidate, place);
    if (checked(H5Tequal(type, own.get()), "compare types", place) > 0) {
      return candidate;
    }
  }
  fail(Kind::corrupt_data, "{}: expected a little-endian integer or float type: found another",
       place);
}

Hdf5Id make_space(const std::vector<std::int64_t>& shape, const std::string& place) {
  require(!shape.empty() && shape.size() <= kMaxRank, Kind::invalid_argument,
          "{}: expected 1 to {} dimensions: found {}", place, kMaxRank, shape.size());
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  return {checked(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
                  "make a shape", place),
          H5Sclose};
}

std::vector<std::int64_t> shape_of(hid_t dataset, const std::string& place) {
  const Hdf5Id space(checked(H5Dget_space(dataset), "read the shape", place), H5Sclose);
  const int rank = checked(H5Sget_simple_extent_ndims(space.get()), "read the shape", place);
  require(rank >= 1 && rank <= kMaxRank, Kind::corrupt_data,
          "{}: expected 1 to {} dimensions: found {}", place, kMaxRank, rank);
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  checked(H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr), "read the shape", place);
  return {dims.begin(), dims.end()};
}

void require_inside(hid_t file, hid_t dataset, const std::vector<std::int64_t>& shape,
                    std::int64_t element_bytes, const std::string& place) {
  hsize_t file_bytes = 0;
  checked(H5Fget_filesize(file, &file_bytes), "read the size of the file", place);
  const auto limit = static_cast<std::int64_t>(file_bytes);
  std::int64_t bytes = element_bytes;
  for (const std::int64_t dim : shape) {
    require(dim >= 0 && (dim == 0 || bytes <= limit / dim), Kind::corrupt_data,
            "{}: expected a dataset that fits its file of {} bytes: found a dimension of {}", place,
            limit, dim);
    bytes *= dim;
  }
  if (bytes == 0) {
    return;
  }
  const haddr_t offset = H5Dget_offset(dataset);
  const auto stored = static_cast<std::int64_t>(H5Dget_storage_size(dataset));
  require(offset != HADDR_UNDEF && stored == bytes && offset <= static_cast<haddr_t>(limit - bytes),
          Kind::corrupt_data, "{}: expected {} bytes inside a file of {}: found {} at offset {}",
          place, bytes, limit, stored, static_cast<std::int64_t>(offset));
}

void require_contiguous(hid_t dataset, const std::string& place) {
  const Hdf5Id properties(
      checked(H5Dget_create_plist(dataset), "read the layout", place, Kind::corrupt_data),
      H5Pclose);
  const auto layout = H5Pget_layout(properties.get());
  const int external = H5Pget_external_count(properties.get());
  const int filters = H5Pget_nfilters(properties.get());
  require(layout == H5D_CONTIGUOUS && external == 0 && filters == 0, Kind::corrupt_data,
          "{}: expected a contiguous dataset inside the file: found layout {}, {} external files, "
          "{} filters",
          place, static_cast<int>(layout), external, filters);
}

void select_rows(hid_t space, std::int64_t begin, std::int64_t count,
                 const std::vector<std::int64_t>& shape, const std::string& place) {
  std::vector<hsize_t> start(shape.size(), 0);
  std::vector<hsize_t> counts(shape.begin(), shape.end());
  start[0] = static_cast<hsize_t>(begin);
  counts[0] = static_cast<hsize_t>(count);
  checked(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, counts.data(), nullptr),
          "select rows", place);
}

}  // namespace keyshard
