// The bodies of loading vectors into tables.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "collectives/vote.hpp"
#include "embedding/layers/table_weights_impl.hpp"
#include "embedding/rows/staging.hpp"
#include "io/checkpoint_reader.hpp"
#include "io/vector_source.hpp"
#include "launch/training/pretrained.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// A column group of a table that vectors have numbers of, in the order in which they have them.
struct VectorGroup {
  std::string name;
  std::int64_t offset = 0;  ///< in the values of a row
  std::int64_t width = 0;   ///< numbers
};

/// The column groups of a table, in its order.
template <Backend B>
std::vector<VectorGroup> vector_groups(const Table<B>& table) {
  std::vector<VectorGroup> groups;
  for (std::size_t g = 0; g < table.options().groups.size(); ++g) {
    const RowLayout::Group& layout = table.layout().groups[g];
    groups.push_back({table.options().groups[g].name, layout.value_offset, layout.dim});
  }
  return groups;
}

/// The rows of a rank's part of the shards of a table in a checkpoint, held at once: as many as the
/// rank will own, where all ranks own the shards.
class CheckpointVectors final : public VectorSource {
 public:
  /// Takes the groups that the checkpoint has with the same width, and drops the others from
  /// `groups`; it must have the first. `doubles` as in VectorFormat. Collective.
  CheckpointVectors(CheckpointReader& reader, const std::string& table, bool doubles,
                    Communicator<Cpu>& communicator, std::vector<VectorGroup>& groups)
      : path_(reader.path()), doubles_(doubles) {
    std::vector<std::size_t> columns;
    vote(communicator, [&] { columns = columns_of(reader.manifest(), table, groups); });
    std::vector<ElementType> types;
    for (const std::size_t column : columns) {
      types.push_back(reader.manifest().table(table, path_).shape.columns[column].type);
    }
    std::mutex mutex;
    reader.read_table(
        table, [&](std::int64_t, Span<const Key> keys, const std::vector<const std::byte*>& bytes) {
          const std::lock_guard lock(mutex);
          for (std::int64_t i = 0; i < keys.size(); ++i) {
            all_.places.push_back(std::ssize(all_.keys));
            all_.keys.push_back(keys[i]);
            for (std::size_t g = 0; g < groups.size(); ++g) {
              add_row(types[g], bytes[columns[g]], i * groups[g].width, groups[g].width);
            }
          }
        });
  }

  bool next(VectorPiece& piece) override {
    piece = std::exchange(all_, {});
    return !piece.keys.empty();
  }

  std::string place(std::int64_t number) const override {
    return fmt::format("{}: row {}", path_, number);
  }

 private:
  std::vector<std::size_t> columns_of(const Manifest& manifest, const std::string& table,
                                      std::vector<VectorGroup>& groups) const {
    const std::vector<ColumnShape>& saved = manifest.table(table, path_).shape.columns;
    const VectorGroup first = groups.front();
    std::vector<std::size_t> columns;
    std::erase_if(groups, [&](const VectorGroup& group) {
      const auto found = std::find_if(saved.begin(), saved.end(), [&](const ColumnShape& column) {
        return column.name == "values/" + group.name && column.width == group.width;
      });
      if (found != saved.end()) {
        columns.push_back(static_cast<std::size_t>(found - saved.begin()));
      }
      return found == saved.end();
    });
    for (const std::size_t column : columns) {
      const ElementType type = saved[column].type;
      require(type == ElementType::f64 || type == ElementType::f32 || type == ElementType::f16 ||
                  type == ElementType::bf16,
              Kind::bad_input,
              "{}: table {}: expected vectors in columns of f64, f32, f16 or bf16: found {} in {}",
              path_, table, name_of(type), saved[column].name);
    }
    require(!groups.empty() && groups.front().name == first.name, Kind::corrupt_data,
            "{}: table {}: expected a column values/{} of width {}: found none", path_, table,
            first.name, first.width);
    return columns;
  }

  /// Number d of a column.
  static double number_of(ElementType type, const std::byte* column, std::int64_t d) {
    const auto* shorts = reinterpret_cast<const std::uint16_t*>(column);
    switch (type) {
      case ElementType::f16:
        return Float16::widen(shorts[d]);
      case ElementType::bf16:
        return Bfloat16::widen(shorts[d]);
      case ElementType::f64:
        return reinterpret_cast<const double*>(column)[d];
      default:
        return reinterpret_cast<const float*>(column)[d];
    }
  }

  /// Adds the numbers [first, first + width) of a column.
  void add_row(ElementType type, const std::byte* column, std::int64_t first, std::int64_t width) {
    for (std::int64_t d = first; d < first + width; ++d) {
      const double number = number_of(type, column, d);
      require(doubles_ || std::isfinite(static_cast<float>(number)) || !std::isfinite(number),
              Kind::bad_input, "{}: expected numbers that float32 can hold: found {}", path_,
              number);
      add_number(number, doubles_, all_.values);
    }
  }

  std::string path_;
  bool doubles_;
  VectorPiece all_;
};

/// rows[i x dim + to + d] = vectors[i x width + from + d] for d in [0, n).
struct PlaceColumns {
  const float* vectors;
  std::int64_t width;
  std::int64_t from;
  std::int64_t n;
  float* rows;
  std::int64_t dim;
  std::int64_t to;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    for (std::int64_t d = 0; d < n; ++d) {
      rows[i * dim + to + d] = vectors[i * width + from + d];
    }
  }
};

/// Sends each vector of a piece to the rank that owns its key. Collective; in host memory.
inline VectorPiece vectors_to_owners(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                     const Partitioner& partitioner, const ShardOwners& owners,
                                     const VectorPiece& piece, std::int64_t width) {
  const WeightRoutes routes(partitioner, owners, piece.keys);
  VectorPiece sent;
  for (const std::size_t i : routes.order) {
    sent.keys.push_back(piece.keys[i]);
    sent.places.push_back(piece.places[i]);
    const auto row = piece.values.begin() + static_cast<std::ptrdiff_t>(i) * width;
    sent.values.insert(sent.values.end(), row, row + width);
  }
  const Exchange<Cpu> exchange(communicator, routes.counts);
  const auto received = static_cast<std::size_t>(exchange.received());
  VectorPiece mine{std::vector<Key>(received),
                   std::vector<float>(received * static_cast<std::size_t>(width)),
                   std::vector<std::int64_t>(received)};
  exchange.forward(stream, std::as_const(sent.keys).data(), mine.keys.data());
  exchange.forward(stream, std::as_const(sent.places).data(), mine.places.data());
  exchange.forward(stream, std::as_const(sent.values).data(), mine.values.data(), width);
  return mine;
}

[[noreturn]] inline void refuse_twice(const VectorSource& source, Key key, std::int64_t first,
                                      std::int64_t second) {
  fail(Kind::bad_input, "{}: expected each key once: found {} there and at {}",
       source.place(std::max(first, second)), static_cast<std::int64_t>(key),
       source.place(std::min(first, second)));
}

/// Floats in whose place a number of a vector lies: two for a double.
template <Backend B>
std::int64_t floats_of_number(const Table<B>& table) {
  return floats_of(table.options().value_dtype, 1);
}

/// Puts vectors into the rows of a table that had none, and remembers where they came from.
template <Backend B>
class VectorLoader {
 public:
  VectorLoader(const VectorSource& source, const std::vector<VectorGroup>& groups, Table<B>& table,
               Stream<B>& stream)
      : source_(source), groups_(groups), table_(table), stream_(stream) {}

  /// Throws where a key of the piece comes twice in it, or has come before. Changes no row.
  void check(const VectorPiece& mine) const {
    std::vector<std::pair<Key, std::int64_t>> places;
    for (std::size_t i = 0; i < mine.keys.size(); ++i) {
      places.emplace_back(mine.keys[i], mine.places[i]);
    }
    std::sort(places.begin(), places.end());
    for (std::size_t i = 1; i < places.size(); ++i) {
      if (places[i].first == places[i - 1].first) {
        refuse_twice(source_, places[i].first, places[i - 1].second, places[i].second);
      }
    }
    if (table_.stored() != nullptr) {
      check_store(mine);
      return;
    }
    const std::vector<RowId> rows = rows_of(mine.keys);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] != kNoRow) {
        refuse_twice(source_, mine.keys[i], places_[rows[i]], mine.places[i]);
      }
    }
  }

  void add(const VectorPiece& mine, std::int64_t width) {
    const std::int64_t n = std::ssize(mine.keys), dim = table_.layout().width;
    const Buffer<Key, B> keys = to_device(stream_, mine.keys);
    const Buffer<float, B> vectors = to_device(stream_, mine.values);
    Buffer<RowId, B> none(stream_, n);
    table_.find(stream_, keys.span(), none.data());
    Buffer<float, B> rows(stream_, n * dim);
    table_.read(stream_, keys.span(), none.data(), false, rows.data());
    std::int64_t from = 0;
    for (const VectorGroup& group : groups_) {
      const std::int64_t each = floats_of_number(table_), columns = group.width * each;
      for_each(stream_, n,
               PlaceColumns{vectors.data(), width, from, columns, rows.data(), dim,
                            group.offset * each});
      from += columns;
    }
    table_.assign(stream_, keys.span(), rows.data());
    if (table_.stored() != nullptr) {
      return;
    }
    places_.resize(static_cast<std::size_t>(table_.size()));
    const std::vector<RowId> made = rows_of(mine.keys);
    for (std::size_t i = 0; i < made.size(); ++i) {
      places_[made[i]] = mine.places[i];
    }
  }

 private:
  std::vector<RowId> rows_of(const std::vector<Key>& keys) const {
    const Buffer<Key, B> asked = to_device(stream_, keys);
    Buffer<RowId, B> rows(stream_, std::ssize(keys));
    table_.find(stream_, asked.span(), rows.data());
    return to_host(stream_, rows);
  }

  /// Throws where the store of the table has a row of a key already. Where the rows do not stay in
  /// memory, no places are kept there either.
  void check_store(const VectorPiece& mine) const {
    const std::int64_t n = std::ssize(mine.keys), most = table_.stored()->piece();
    for (std::int64_t begin = 0; begin < n; begin += most) {
      const auto first = mine.keys.begin() + begin;
      std::vector<Key> part(first, first + std::min(most, n - begin));
      stage_keys(stream_, table_, part, false);
      const std::vector<RowId> rows = rows_of(part);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        require(rows[i] == kNoRow, Kind::bad_input,
                "{}: expected each key once: found {}, which has a row already: of a vector before "
                "it, or of another writer of {}",
                source_.place(mine.places[static_cast<std::size_t>(begin) + i]),
                static_cast<std::int64_t>(part[i]), table_.stored()->store().place());
      }
    }
  }

  const VectorSource& source_;
  const std::vector<VectorGroup>& groups_;
  Table<B>& table_;
  Stream<B>& stream_;
  std::vector<std::int64_t> places_;  // of each row
};

/// Brings the vectors of all ranks to the rows of their owners, piece by piece. Collective.
template <Backend B>
std::int64_t load_vectors(VectorSource& source, const std::vector<VectorGroup>& groups,
                          Table<B>& table, Communicator<B>& device_communicator,
                          Stream<B>& stream) {
  Communicator<Cpu>& communicator = host_of(device_communicator);
  std::int64_t width = 0;
  for (const VectorGroup& group : groups) {
    width += group.width * floats_of_number(table);
  }
  const ShardOwners owners = owners_of(table.options(), communicator.size());
  VectorLoader<B> loader(source, groups, table, stream);
  for (;;) {
    VectorPiece piece;
    vote(communicator, [&] { source.next(piece); });
    std::int64_t left = std::ssize(piece.keys);
    communicator.all_reduce(Span<std::int64_t>(&left, 1), Reduction::sum);
    if (left == 0) {
      break;
    }
    const VectorPiece mine =
        vectors_to_owners(communicator, host_of(stream), table.partitioner(), owners, piece, width);
    vote(communicator, [&] { loader.check(mine); });
    vote(communicator, [&] { loader.add(mine, width); });
    communicator.progress().advance();
  }
  std::int64_t rows = 0;
  vote(communicator, [&] { rows = table.size(); });
  communicator.all_reduce(Span<std::int64_t>(&rows, 1), Reduction::sum);
  return rows;
}

template <Backend B>
std::int64_t load_pretrained(const Pretrained& from, TableSet<B>& tables, Stream<B>& stream) {
  Communicator<Cpu>& communicator = host_of(tables.communicator());
  const InPhase phase(communicator.progress(), Phase::loading);
  Table<B>& table = tables.at(from.table);
  const ValueDtype dtype = table.options().value_dtype;
  require(!is_integer(dtype), Kind::invalid_argument,
          "table {}: expected rows of floats or doubles for pretrained vectors: found value_dtype "
          "{}; a program sets rows of integers with set_weights",
          from.table, option_name(dtype));
  vote(communicator, [&] {
    const std::int64_t rows = table.size();
    require(rows == 0, Kind::invalid_argument,
            "table {}: expected no rows before vectors are loaded: found {}", from.table, rows);
  });
  std::vector<VectorGroup> groups = vector_groups(table);
  const VectorForm form = form_of(from.path, communicator);
  if (form == VectorForm::checkpoint) {
    LocalFileSystem files;
    CheckpointReader reader(files, from.path, communicator, host_of(stream));
    CheckpointVectors source(reader, from.table, dtype == ValueDtype::float64, communicator,
                             groups);
    return load_vectors<B>(source, groups, table, tables.communicator(), stream);
  }
  groups.resize(1);
  const VectorFormat format{from.table, groups.front().width, from.strings, from.hash,
                            dtype == ValueDtype::float64};
  const std::unique_ptr<VectorSource> source = form == VectorForm::numpy
                                                   ? numpy_vectors(from.path, format, communicator)
                                                   : text_vectors(from.path, format, communicator);
  return load_vectors<B>(*source, groups, table, tables.communicator(), stream);
}

}  // namespace keyshard
