// HDF5 files with only what keyshard writes in them: groups, contiguous datasets of explicit
// little-endian types, and small attributes (the one home of <hdf5.h>). Groups and datasets are of
// the compact layout of HDF5 1.8, without times, so equal content has equal bytes. Every return
// value is checked and every size bounded by the file's. What can point outside the file (external
// storage, links, virtual datasets) is refused when read. HDF5 prints nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "io/element_type.hpp"

namespace keyshard {

/// An identifier of the HDF5 library with the function that gives it back.
class Hdf5Id {
 public:
  using Release = int (*)(std::int64_t);

  Hdf5Id() = default;

  Hdf5Id(std::int64_t id, Release release) : id_(id), release_(release) {}

  Hdf5Id(Hdf5Id&& other) noexcept : id_(std::exchange(other.id_, -1)), release_(other.release_) {}

  Hdf5Id& operator=(Hdf5Id&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(release_, other.release_);
    return *this;
  }

  ~Hdf5Id();

  std::int64_t get() const noexcept { return id_; }

  /// Gives the identifier back; false if that fails.
  bool close() noexcept;

 private:
  std::int64_t id_ = -1;
  Release release_ = nullptr;
};

/// A dataset of a file that is open. Belongs to one thread at a time.
class Hdf5Dataset {
 public:
  ElementType type() const noexcept { return type_; }

  const std::vector<std::int64_t>& shape() const noexcept { return shape_; }

  /// The first dimension.
  std::int64_t rows() const noexcept { return shape_[0]; }

  /// Elements of a row: the product of all other dimensions.
  std::int64_t width() const noexcept;

  /// The byte of the file at which the elements begin; 0 where there are none.
  std::int64_t offset() const;

  /// Writes rows [begin, begin + count) from contiguous memory. Throws Error{io} with the path.
  void write(std::int64_t begin, std::int64_t count, const void* values);
  /// Reads rows [begin, begin + count) into contiguous memory. Throws Error{io} with the path.
  void read(std::int64_t begin, std::int64_t count, void* values) const;

  /// Throws unless the dataset has this type and shape: Error{corrupt_data} saying what was found.
  void expect(ElementType type, const std::vector<std::int64_t>& shape) const;

  /// Gives the dataset back, and its buffered bytes to the file. Throws Error{io}.
  void close();

 private:
  friend class Hdf5File;

  template <class Transfer>
  void transfer(std::int64_t begin, std::int64_t count, const Transfer& body) const;

  Hdf5Id id_;
  std::string name_;  // "file:dataset", for messages
  ElementType type_ = ElementType::u8;
  std::vector<std::int64_t> shape_;
};

/// Where the next `rows` rows of a virtual dataset lie: they are all rows of a dataset in another
/// file of the same folder.
struct Hdf5Source {
  std::string file;
  std::string dataset;
  std::int64_t rows = 0;
};

class Hdf5File {
 public:
  /// A new file. Throws Error{io} where the path exists.
  static Hdf5File create(const std::string& path);
  /// An existing file, to be read only. Throws Error{corrupt_data} where HDF5 cannot open it.
  static Hdf5File open(const std::string& path);

  const std::string& path() const noexcept { return path_; }

  /// Makes a dataset with uninitialised storage, and the groups in its name. Names are parts joined
  /// by '/'.
  Hdf5Dataset create_dataset(const std::string& name, ElementType type,
                             const std::vector<std::int64_t>& shape);

  /// Makes a dataset and writes it whole. Returns its offset.
  std::int64_t write(const std::string& name, ElementType type,
                     const std::vector<std::int64_t>& shape, const void* values);

  /// Makes a virtual dataset of the rows of other files, one source after another, for other
  /// programs: `open_dataset` refuses it. `shape` is that of all rows together.
  void create_virtual(const std::string& name, ElementType type,
                      const std::vector<std::int64_t>& shape,
                      const std::vector<Hdf5Source>& sources);

  /// Makes a link to a dataset of another file, for other programs: `open_dataset` refuses it.
  void create_link(const std::string& name, const Hdf5Source& source);

  /// Opens a dataset. Throws Error{corrupt_data} naming file, dataset and reason where it is
  /// missing, is reached by a link that is not hard, or is not contiguous inside this file.
  Hdf5Dataset open_dataset(const std::string& name) const;

  bool has(const std::string& name) const;
  /// Names of the members of a group, sorted.
  std::vector<std::string> members(const std::string& group) const;

  // Attributes of a group or dataset ("/" is the file's).

  void set_text(const std::string& object, const std::string& name, const std::string& value);
  void set_integer(const std::string& object, const std::string& name, std::int64_t value);
  /// Throw Error{corrupt_data} where there is no such attribute of that type.
  std::string text(const std::string& object, const std::string& name) const;
  std::int64_t integer(const std::string& object, const std::string& name) const;

  /// Flushes and closes; all datasets must be closed. Throws Error{io}.
  void close();

 private:
  /// Properties of what is made in a file: each costs more to make than what is made by it.
  struct Properties {
    Hdf5Id link;
    Hdf5Id group;
    Hdf5Id dataset;  // of a contiguous one
  };

  Hdf5File(std::string path, Hdf5Id id) : path_(std::move(path)), id_(std::move(id)) {}

  std::string place(const std::string& name) const { return path_ + ":" + name; }

  void require_hard_links(const std::string& name) const;
  Hdf5Id make_dataset(const std::string& name, ElementType type, const Hdf5Id& space,
                      const Hdf5Id& properties);
  std::int64_t group_of(const std::string& name);
  void leave_group();

  /// A group that is open, by its name from the root on.
  struct Group {
    std::string name;
    Hdf5Id id;
  };

  std::string path_;
  Hdf5Id id_;
  Properties properties_;      // of a file that is written
  std::vector<Group> groups_;  // that of the dataset made last, and before it those around it
};

/// A name as one part of a dataset's name: '/' becomes %2F, '%' becomes %25, a first '.' %2E.
std::string hdf5_part(const std::string& name);

}  // namespace keyshard
