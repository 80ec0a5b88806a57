#include "io/hdf5_file.hpp"

#include <algorithm>

#include "io/hdf5_call.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kMaxText = 1 << 15;

/// A name as the mapping of a virtual dataset takes it: there, % begins a format.
std::string doubled_percent(const std::string& name) {
  std::string result;
  for (const char c : name) {
    result += c == '%' ? "%%" : std::string(1, c);
  }
  return result;
}

Hdf5Id open_object(hid_t file, const std::string& name, const std::string& place) {
  return {checked(H5Oopen(file, name.c_str(), H5P_DEFAULT), "open the object", place,
                  Kind::corrupt_data),
          H5Oclose};
}

Hdf5Id text_type(std::size_t bytes, const std::string& place) {
  Hdf5Id type(checked(H5Tcopy(H5T_C_S1), "make a type", place), H5Tclose);
  checked(H5Tset_size(type.get(), bytes), "make a type", place);
  checked(H5Tset_cset(type.get(), H5T_CSET_UTF8), "make a type", place);
  return type;
}

void write_attribute(hid_t object, const std::string& name, hid_t type, const void* value,
                     const std::string& place) {
  const Hdf5Id space(checked(H5Screate(H5S_SCALAR), "make an attribute", place), H5Sclose);
  Hdf5Id attribute(
      checked(H5Acreate2(object, name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
              "make an attribute", place),
      H5Aclose);
  checked(H5Awrite(attribute.get(), type, value), "write an attribute", place);
  close_checked(attribute, "close an attribute", place);
}

/// Properties of what is made. Times would make the bytes of a file differ from run to run.
Hdf5Id without_times(hid_t kind, const std::string& place) {
  Hdf5Id properties = property_list(kind, place);
  checked(H5Pset_obj_track_times(properties.get(), false), "set properties", place);
  return properties;
}

Hdf5Id link_properties(const std::string& place) {
  Hdf5Id links = property_list(H5P_LINK_CREATE, place);
  checked(H5Pset_char_encoding(links.get(), H5T_CSET_UTF8), "set properties", place);
  return links;
}

Hdf5Id dataset_properties(const std::string& place) {
  Hdf5Id properties = without_times(H5P_DATASET_CREATE, place);
  // Room for attributes, which a dataset of keyshard has none of, would take 130 bytes.
  checked(H5Pset_dset_no_attrs_hint(properties.get(), true), "set properties", place);
  return properties;
}

Hdf5Id contiguous_properties(const std::string& place) {
  Hdf5Id properties = dataset_properties(place);
  checked(H5Pset_layout(properties.get(), H5D_CONTIGUOUS), "set properties", place);
  checked(H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY), "set properties", place);
  checked(H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER), "set properties", place);
  return properties;
}

/// Opens an attribute of one element of a class of types.
std::pair<Hdf5Id, Hdf5Id> open_attribute(hid_t object, const std::string& name, H5T_class_t kind,
                                         const std::string& place) {
  Hdf5Id attribute(checked(H5Aopen(object, name.c_str(), H5P_DEFAULT), "open the attribute", place,
                           Kind::corrupt_data),
                   H5Aclose);
  Hdf5Id type(checked(H5Aget_type(attribute.get()), "read the type", place), H5Tclose);
  const Hdf5Id space(checked(H5Aget_space(attribute.get()), "read the shape", place), H5Sclose);
  require(H5Tget_class(type.get()) == kind && H5Tis_variable_str(type.get()) <= 0 &&
              H5Sget_simple_extent_npoints(space.get()) == 1,
          Kind::corrupt_data, "{}: expected an attribute of one {}: found another", place,
          kind == H5T_STRING ? "fixed text" : "integer");
  return {std::move(attribute), std::move(type)};
}

/// Keeps little of what HDF5 has written about datasets in memory, where it takes twenty times its
/// bytes: none of it is asked for again.
void keep_little(hid_t properties, const std::string& place) {
  H5AC_cache_config_t config;
  config.version = H5AC__CURR_CACHE_CONFIG_VERSION;
  checked(H5Pget_mdc_config(properties, &config), "read properties", place);
  config.set_initial_size = true;
  config.initial_size = config.min_size = config.max_size = std::size_t{256} << 10;
  config.incr_mode = H5C_incr__off;
  config.flash_incr_mode = H5C_flash_incr__off;
  config.decr_mode = H5C_decr__off;
  checked(H5Pset_mdc_config(properties, &config), "set properties", place);
}

}  // namespace

Hdf5File Hdf5File::create(const std::string& path) {
  const Hdf5Silence silence;
  const Hdf5Id properties = property_list(H5P_FILE_ACCESS, path);
  checked(H5Pset_fclose_degree(properties.get(), H5F_CLOSE_STRONG), "set properties", path);
  checked(H5Pset_file_locking(properties.get(), false, true), "set properties", path);
  // Groups of the oldest layout take over a KB each. Of a newer layout than that of 1.8, a file
  // that was not closed could not be opened.
  checked(H5Pset_libver_bounds(properties.get(), H5F_LIBVER_V18, H5F_LIBVER_V110), "set properties",
          path);
  keep_little(properties.get(), path);
  const Hdf5Id root = without_times(H5P_FILE_CREATE, path);
  Hdf5File file(path, {checked(H5Fcreate(path.c_str(), H5F_ACC_EXCL, root.get(), properties.get()),
                               "create the file", path),
                       H5Fclose});
  file.properties_ = {link_properties(path), without_times(H5P_GROUP_CREATE, path),
                      contiguous_properties(path)};
  return file;
}

Hdf5File Hdf5File::open(const std::string& path) {
  const Hdf5Silence silence;
  const Hdf5Id properties = property_list(H5P_FILE_ACCESS, path);
  checked(H5Pset_file_locking(properties.get(), false, true), "set properties", path);
  return {path,
          {checked(H5Fopen(path.c_str(), H5F_ACC_RDONLY, properties.get()), "open the file", path,
                   Kind::corrupt_data),
           H5Fclose}};
}

/// Closes the innermost group that is open.
void Hdf5File::leave_group() {
  close_checked(groups_.back().id, "close the group", place(groups_.back().name));
  groups_.pop_back();
}

/// The group in which a dataset of this name lies; it and those around it are made where missing.
std::int64_t Hdf5File::group_of(const std::string& name) {
  while (!groups_.empty() && !name.starts_with(groups_.back().name + "/")) {
    leave_group();
  }
  std::size_t end = groups_.empty() ? 0 : groups_.back().name.size();
  std::int64_t group = groups_.empty() ? id_.get() : groups_.back().id.get();
  for (;;) {
    const std::size_t begin = name[end] == '/' ? end + 1 : end;
    end = name.find('/', begin);
    if (end == std::string::npos) {
      return group;
    }
    const std::string part = name.substr(begin, end - begin), where = place(name.substr(0, end));
    const bool found = checked(H5Lexists(group, part.c_str(), H5P_DEFAULT), "find", where) > 0;
    const hid_t id = found ? H5Gopen2(group, part.c_str(), H5P_DEFAULT)
                           : H5Gcreate2(group, part.c_str(), properties_.link.get(),
                                        properties_.group.get(), H5P_DEFAULT);
    groups_.push_back(
        {name.substr(0, end),
         {checked(id, found ? "open the group" : "create the group", where), H5Gclose}});
    group = id;
  }
}

Hdf5Id Hdf5File::make_dataset(const std::string& name, ElementType type, const Hdf5Id& space,
                              const Hdf5Id& properties) {
  const std::int64_t group = group_of(name);
  const std::string part = name.substr(name.rfind('/') + 1);
  return {checked(H5Dcreate2(group, part.c_str(), hdf5_type(type, place(name)).get(), space.get(),
                             properties_.link.get(), properties.get(), H5P_DEFAULT),
                  "create the dataset", place(name)),
          H5Dclose};
}

Hdf5Dataset Hdf5File::create_dataset(const std::string& name, ElementType type,
                                     const std::vector<std::int64_t>& shape) {
  const Hdf5Silence silence;
  Hdf5Dataset dataset;
  dataset.id_ = make_dataset(name, type, make_space(shape, place(name)), properties_.dataset);
  dataset.name_ = place(name);
  dataset.type_ = type;
  dataset.shape_ = shape;
  return dataset;
}

std::int64_t Hdf5File::write(const std::string& name, ElementType type,
                             const std::vector<std::int64_t>& shape, const void* values) {
  Hdf5Dataset dataset = create_dataset(name, type, shape);
  dataset.write(0, dataset.rows(), values);
  const std::int64_t offset = dataset.offset();
  dataset.close();
  return offset;
}

void Hdf5File::create_virtual(const std::string& name, ElementType type,
                              const std::vector<std::int64_t>& shape,
                              const std::vector<Hdf5Source>& sources) {
  const Hdf5Silence silence;
  const Hdf5Id space = make_space(shape, place(name));
  const Hdf5Id properties = dataset_properties(place(name));
  std::int64_t begin = 0;
  for (const Hdf5Source& source : sources) {
    if (source.rows > 0) {
      std::vector<std::int64_t> part = shape;
      part[0] = source.rows;
      select_rows(space.get(), begin, source.rows, shape, place(name));
      checked(H5Pset_virtual(properties.get(), space.get(), doubled_percent(source.file).c_str(),
                             doubled_percent(source.dataset).c_str(),
                             make_space(part, place(name)).get()),
              "map rows of another file", place(name));
      begin += source.rows;
    }
  }
  checked(H5Sselect_all(space.get()), "select all", place(name));
  Hdf5Id dataset = make_dataset(name, type, space, properties);
  close_checked(dataset, "close the dataset", place(name));
}

void Hdf5File::create_link(const std::string& name, const Hdf5Source& source) {
  const Hdf5Silence silence;
  const std::int64_t group = group_of(name);
  checked(H5Lcreate_external(source.file.c_str(), source.dataset.c_str(), group,
                             name.substr(name.rfind('/') + 1).c_str(), properties_.link.get(),
                             H5P_DEFAULT),
          "make the link", place(name));
}

void Hdf5File::require_hard_links(const std::string& name) const {
  for (std::size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    const std::string prefix = name.substr(0, end);
    H5L_info_t info;
    checked(H5Lget_info(id_.get(), prefix.c_str(), &info, H5P_DEFAULT), "find the object",
            place(prefix), Kind::corrupt_data);
    require(info.type == H5L_TYPE_HARD, Kind::corrupt_data,
            "{}: expected a hard link: found one that leads elsewhere", place(prefix));
    if (end == std::string::npos) {
      return;
    }
  }
}

Hdf5Dataset Hdf5File::open_dataset(const std::string& name) const {
  const Hdf5Silence silence;
  require_hard_links(name);
  Hdf5Dataset dataset;
  dataset.name_ = place(name);
  dataset.id_ = Hdf5Id(checked(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT), "open the dataset",
                               place(name), Kind::corrupt_data),
                       H5Dclose);
  require_contiguous(dataset.id_.get(), place(name));
  const Hdf5Id type(checked(H5Dget_type(dataset.id_.get()), "read the type", place(name)),
                    H5Tclose);
  dataset.type_ = element_type(type.get(), place(name));
  dataset.shape_ = shape_of(dataset.id_.get(), place(name));
  require_inside(id_.get(), dataset.id_.get(), dataset.shape_, size_of(dataset.type_), place(name));
  return dataset;
}

bool Hdf5File::has(const std::string& name) const {
  const Hdf5Silence silence;
  for (std::size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    if (H5Lexists(id_.get(), name.substr(0, end).c_str(), H5P_DEFAULT) <= 0) {
      return false;
    }
    if (end == std::string::npos) {
      return true;
    }
  }
}

std::vector<std::string> Hdf5File::members(const std::string& group) const {
  const Hdf5Silence silence;
  const Hdf5Id object = open_object(id_.get(), group, place(group));
  std::vector<std::string> names;
  checked(H5Literate(
              object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr,
              [](hid_t, const char* name, const H5L_info_t*, void* data) -> herr_t {
                static_cast<std::vector<std::string>*>(data)->emplace_back(name);
                return 0;
              },
              &names),
          "list the group", place(group), Kind::corrupt_data);
  std::sort(names.begin(), names.end());
  return names;
}

void Hdf5File::set_text(const std::string& object, const std::string& name,
                        const std::string& value) {
  const Hdf5Silence silence;
  const std::string where = place(object) + "@" + name;
  const Hdf5Id owner = open_object(id_.get(), object, where);
  // HDF5 has no text type of 0 bytes, so an empty text is stored as one zero byte.
  const Hdf5Id type = text_type(std::max<std::size_t>(value.size(), 1), where);
  write_attribute(owner.get(), name, type.get(), value.c_str(), where);
}

void Hdf5File::set_integer(const std::string& object, const std::string& name, std::int64_t value) {
  const Hdf5Silence silence;
  const std::string where = place(object) + "@" + name;
  const Hdf5Id owner = open_object(id_.get(), object, where);
  write_attribute(owner.get(), name, H5T_STD_I64LE, &value, where);
}

std::string Hdf5File::text(const std::string& object, const std::string& name) const {
  const Hdf5Silence silence;
  const std::string where = place(object) + "@" + name;
  const Hdf5Id owner = open_object(id_.get(), object, where);
  const auto [attribute, type] = open_attribute(owner.get(), name, H5T_STRING, where);
  const std::size_t bytes = H5Tget_size(type.get());
  require(bytes >= 1 && bytes <= kMaxText, Kind::corrupt_data,
          "{}: expected a text of at most {} bytes: found {}", where, kMaxText, bytes);
  std::string value(bytes, '\0');
  checked(H5Aread(attribute.get(), text_type(bytes, where).get(), value.data()),
          "read the attribute", where, Kind::corrupt_data);
  return value == std::string(1, '\0') ? std::string() : value;
}

std::int64_t Hdf5File::integer(const std::string& object, const std::string& name) const {
  const Hdf5Silence silence;
  const std::string where = place(object) + "@" + name;
  const Hdf5Id owner = open_object(id_.get(), object, where);
  const auto [attribute, type] = open_attribute(owner.get(), name, H5T_INTEGER, where);
  std::int64_t value = 0;
  checked(H5Aread(attribute.get(), H5T_STD_I64LE, &value), "read the attribute", where,
          Kind::corrupt_data);
  return value;
}

void Hdf5File::close() {
  const Hdf5Silence silence;
  while (!groups_.empty()) {
    leave_group();
  }
  // H5Fclose returns success on a full disk; the flush before it does not.
  checked(H5Fflush(id_.get(), H5F_SCOPE_GLOBAL), "flush", path_);
  close_checked(id_, "close the file", path_);
}

std::string hdf5_part(const std::string& name) {
  std::string part;
  for (const char c : name) {
    if (c == '/' || c == '%' || (c == '.' && part.empty())) {
      part += fmt::format("%{:02X}", static_cast<unsigned>(c));
    } else {
      part += c;
    }
  }
  return part;
}

}  // namespace keyshard
