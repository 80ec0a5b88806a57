#include "io/hdf5_call.hpp"
#include "runtime/joined.hpp"

namespace keyshard {

std::int64_t Hdf5Dataset::width() const noexcept {
  std::int64_t width = 1;
  for (std::size_t d = 1; d < shape_.size(); ++d) {
    width *= shape_[d];
  }
  return width;
}

std::int64_t Hdf5Dataset::offset() const {
  if (rows() * width() == 0) {
    return 0;
  }
  const Hdf5Silence silence;
  const haddr_t offset = H5Dget_offset(id_.get());
  require(offset != HADDR_UNDEF, Kind::io, "{}: expected a dataset that has its place: found none",
          name_);
  return static_cast<std::int64_t>(offset);
}

template <class Transfer>
void Hdf5Dataset::transfer(std::int64_t begin, std::int64_t count, const Transfer& body) const {
  require(begin >= 0 && count >= 0 && begin <= rows() - count, Kind::invalid_argument,
          "{}: expected rows within [0, {}): found {} from {} on", name_, rows(), count, begin);
  if (count * width() == 0) {
    return;
  }
  const Hdf5Silence silence;
  std::vector<std::int64_t> piece = shape_;
  piece[0] = count;
  const Hdf5Id memory = make_space(piece, name_);
  const Hdf5Id file(checked(H5Dget_space(id_.get()), "read the shape", name_), H5Sclose);
  select_rows(file.get(), begin, count, shape_, name_);
  body(memory.get(), file.get());
}

void Hdf5Dataset::write(std::int64_t begin, std::int64_t count, const void* values) {
  transfer(begin, count, [&](hid_t memory, hid_t file) {
    const Hdf5Id type = hdf5_type(type_, name_);
    checked(H5Dwrite(id_.get(), type.get(), memory, file, H5P_DEFAULT, values), "write", name_);
  });
}

void Hdf5Dataset::read(std::int64_t begin, std::int64_t count, void* values) const {
  transfer(begin, count, [&](hid_t memory, hid_t file) {
    const Hdf5Id type = hdf5_type(type_, name_);
    checked(H5Dread(id_.get(), type.get(), memory, file, H5P_DEFAULT, values), "read", name_);
  });
}

void Hdf5Dataset::expect(ElementType type, const std::vector<std::int64_t>& shape) const {
  require(type_ == type && shape_ == shape, Kind::corrupt_data,
          "{}: expected {} of shape [{}]: found {} of shape [{}]", name_, name_of(type),
          joined(shape, ", "), name_of(type_), joined(shape_, ", "));
}

void Hdf5Dataset::close() {
  const Hdf5Silence silence;
  close_checked(id_, "close the dataset", name_);
}

}  // namespace keyshard
