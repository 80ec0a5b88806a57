#include "launch/bench/floors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "launch/bench/workload.hpp"
#include "runtime/memory_pool.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kAhead = 16;                      // how far loops fetch ahead
constexpr std::size_t kReserve = std::size_t{4} << 30;  // of address space, for rows
constexpr std::size_t kFirstCapacity = std::size_t{1} << 16;

std::int64_t stride_of(std::int64_t dim, FloorOptimizer optimizer) {
  return optimizer == FloorOptimizer::adagrad ? 2 * dim : (dim + 4) / 4 * 4;
}

void fetch(const float* row, std::int64_t floats) {
  for (std::int64_t d = 0; d < floats; d += 16) {
    __builtin_prefetch(row + d);
  }
}

template <int Dim>
void add(float* __restrict sum, const float* __restrict term) {
  for (int d = 0; d < Dim; ++d) {
    sum[d] += term[d];
  }
}

template <int Dim>
void adagrad(float* __restrict row, const float* __restrict g) {
  float* __restrict state = row + Dim;
  for (int d = 0; d < Dim; ++d) {
    state[d] += g[d] * g[d];
    row[d] -= kFloorRate * g[d] / (std::sqrt(state[d]) + kFloorEpsilon);
  }
}

template <int Dim>
void rowwise_adagrad(float* __restrict row, const float* __restrict g) {
  constexpr int kLanes = 16;
  float squares[kLanes] = {};
  for (int d = 0; d < Dim; d += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      squares[lane] += g[d + lane] * g[d + lane];
    }
  }
  float sum = 0;
  for (const float square : squares) {
    sum += square;
  }
  row[Dim] += sum / Dim;
  const float factor = kFloorRate / (std::sqrt(row[Dim]) + kFloorEpsilon);
  for (int d = 0; d < Dim; ++d) {
    row[d] -= factor * g[d];
  }
}

}  // namespace

FloorTable::FloorTable(std::int64_t stride)
    : stride_(stride), rows_(static_cast<float*>(map_memory<Cpu>(kReserve))) {
  grow();
}

FloorTable::~FloorTable() {
  unmap_memory<Cpu>(rows_, kReserve);
  unmap_memory<Cpu>(entries_, capacity_ * sizeof(Entry));
}

float* FloorTable::find(Key key) const {
  for (std::size_t at = home(key);; at = at + 1 == capacity_ ? 0 : at + 1) {
    if (entries_[at].key == key) {
      return rows_ + entries_[at].row * stride_;
    }
    if (entries_[at].key == 0) {
      return nullptr;
    }
  }
}

float* FloorTable::find_or_insert(Key key, std::int64_t dim) {
  std::size_t at = home(key);
  while (entries_[at].key != key) {
    if (entries_[at].key == 0) {
      entries_[at] = {key, size_};
      float* row = rows_ + size_ * stride_;
      for (std::int64_t d = 0; d < dim; ++d) {
        row[d] = filled_value(key, d);
      }
      if (static_cast<std::size_t>(++size_) * 2 > capacity_) {
        grow();
      }
      return row;
    }
    at = at + 1 == capacity_ ? 0 : at + 1;
  }
  return rows_ + entries_[at].row * stride_;
}

void FloorTable::grow() {
  const std::size_t before = capacity_;
  Entry* old = entries_;
  capacity_ = std::max(kFirstCapacity, 2 * before);
  shift_ = 64 - __builtin_ctzll(capacity_);
  entries_ = static_cast<Entry*>(map_memory<Cpu>(capacity_ * sizeof(Entry)));
  for (std::size_t i = 0; i < before; ++i) {
    if (old[i].key != 0) {
      std::size_t at = home(old[i].key);
      while (entries_[at].key != 0) {
        at = at + 1 == capacity_ ? 0 : at + 1;
      }
      entries_[at] = old[i];
    }
  }
  if (old != nullptr) {
    unmap_memory<Cpu>(old, before * sizeof(Entry));
  }
}

void SparseFloor::Part::widen() {
  const std::vector<Seen> old = std::move(seen);
  seen.assign(2 * old.size(), {});
  for (const Seen& entry : old) {
    if (entry.step == step) {
      std::size_t at = (entry.key >> 24) & (seen.size() - 1);
      while (seen[at].step == step) {
        at = (at + 1) & (seen.size() - 1);
      }
      seen[at] = entry;
    }
  }
}

std::uint32_t SparseFloor::Part::number_of(Key key) {
  std::size_t at = (key >> 24) & (seen.size() - 1);
  while (seen[at].step == step) {
    if (seen[at].key == key) {
      return seen[at].number;
    }
    at = (at + 1) & (seen.size() - 1);
  }
  const auto number = static_cast<std::uint32_t>(distinct.size());
  seen[at] = {key, number, step};
  distinct.push_back(key);
  if (2 * distinct.size() > seen.size()) {
    widen();
  }
  return number;
}

SparseFloor::SparseFloor(ThreadPool& threads, std::int64_t dim, FloorOptimizer optimizer)
    : threads_(threads), dim_(dim), optimizer_(optimizer) {
  for (int thread = 0; thread < threads.size(); ++thread) {
    parts_.push_back(std::make_unique<Part>(stride_of(dim, optimizer)));
  }
}

void SparseFloor::select(Span<const Key> keys, Span<const std::int64_t> offsets,
                         std::size_t thread) {
  Part& part = *parts_[thread];
  part.mine.resize(keys.size());
  part.bags.resize(keys.size());
  std::size_t n = 0;
  for (std::int64_t bag = 0; bag + 1 < offsets.size(); ++bag) {
    for (auto i = static_cast<std::size_t>(offsets[bag]);
         i < static_cast<std::size_t>(offsets[bag + 1]); ++i) {
      part.mine[n] = static_cast<std::uint32_t>(i);
      part.bags[n] = static_cast<std::uint32_t>(bag);
      n += owns(thread, keys[i]);
    }
  }
  part.mine.resize(n);
  part.bags.resize(n);
}

void SparseFloor::deduplicate(Span<const Key> keys, Part& part) {
  ++part.step;
  part.distinct.clear();
  part.numbers.resize(part.mine.size());
  for (std::size_t j = 0; j < part.mine.size(); ++j) {
    part.numbers[j] = part.number_of(keys[part.mine[j]]);
  }
}

void SparseFloor::probe(Part& part) {
  const std::size_t n = part.distinct.size();
  part.rows.resize(n);
  for (std::size_t u = 0; u < n; ++u) {
    if (u + kAhead < n) {
      part.table.prefetch(part.distinct[u + kAhead]);
    }
    part.rows[u] = part.table.find(part.distinct[u]);
  }
}

void SparseFloor::insert(Span<const Key> keys) {
  threads_.run([&](int thread) {
    FloorTable& table = parts_[static_cast<std::size_t>(thread)]->table;
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      if (owns(static_cast<std::size_t>(thread), keys[i])) {
        table.find_or_insert(keys[i], dim_);
      }
    }
  });
}

std::int64_t SparseFloor::count_distinct(Span<const Key> keys) {
  const std::int64_t one_bag[] = {0, static_cast<std::int64_t>(keys.size())};
  threads_.run([&](int thread) {
    select(keys, one_bag, static_cast<std::size_t>(thread));
    deduplicate(keys, *parts_[static_cast<std::size_t>(thread)]);
  });
  std::int64_t distinct = 0;
  for (const auto& part : parts_) {
    distinct += static_cast<std::int64_t>(part->distinct.size());
  }
  return distinct;
}

void SparseFloor::find(Span<const Key> keys, const float** rows) const {
  threads_.for_shares(
      static_cast<std::int64_t>(keys.size()), [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t i = begin; i < end; ++i) {
          const Key ahead = keys[std::min(i + std::int64_t{kAhead}, keys.size() - 1)];
          part_of(ahead).table.prefetch(ahead);
          rows[i] = part_of(keys[i]).table.find(keys[i]);
        }
      });
}

template <int Dim>
void SparseFloor::hand_out(Part& part, float* out) const {
  const std::size_t n = part.mine.size();
  for (std::size_t j = 0; j < n; ++j) {
    if (j + kAhead < n) {
      fetch(part.rows[part.numbers[j + kAhead]], Dim);
    }
    std::memcpy(out + std::size_t{part.mine[j]} * Dim, part.rows[part.numbers[j]],
                Dim * sizeof(float));
  }
}

template <int Dim>
void SparseFloor::pool(Span<const std::int64_t> offsets, std::int64_t begin, std::int64_t end,
                       float* out) const {
  const auto last = static_cast<std::size_t>(offsets.back());
  for (std::int64_t bag = begin; bag < end; ++bag) {
    float sum[Dim] = {};
    for (auto i = static_cast<std::size_t>(offsets[static_cast<std::size_t>(bag)]);
         i < static_cast<std::size_t>(offsets[static_cast<std::size_t>(bag) + 1]); ++i) {
      if (i + kAhead < last) {
        fetch(row_of_[i + kAhead], Dim);
      }
      add<Dim>(sum, row_of_[i]);
    }
    std::memcpy(out + bag * Dim, sum, sizeof(sum));
  }
}

template <int Dim>
void SparseFloor::forward(Span<const Key> keys, Span<const std::int64_t> offsets, float* out) {
  const bool single = keys.size() + 1 == offsets.size();
  row_of_.resize(single ? 0 : keys.size());
  threads_.run([&](int thread) {
    Part& part = *parts_[static_cast<std::size_t>(thread)];
    select(keys, offsets, static_cast<std::size_t>(thread));
    deduplicate(keys, part);
    probe(part);
    if (single) {
      hand_out<Dim>(part, out);
    }
    for (std::size_t j = 0; !single && j < part.mine.size(); ++j) {
      row_of_[part.mine[j]] = part.rows[part.numbers[j]];
    }
  });
  if (!single) {
    threads_.for_shares(
        static_cast<std::int64_t>(offsets.size()) - 1,
        [&](std::int64_t begin, std::int64_t end, int) { pool<Dim>(offsets, begin, end, out); });
  }
}

template <int Dim>
void SparseFloor::update(Part& part, const float* gradients) const {
  part.sums.assign(part.distinct.size() * Dim, 0.0f);
  for (std::size_t j = 0; j < part.mine.size(); ++j) {
    add<Dim>(&part.sums[std::size_t{part.numbers[j]} * Dim],
             gradients + std::size_t{part.bags[j]} * Dim);
  }
  const std::int64_t stride = stride_of(Dim, optimizer_);
  for (std::size_t u = 0; u < part.rows.size(); ++u) {
    if (u + kAhead < part.rows.size()) {
      fetch(part.rows[u + kAhead], stride);
    }
    if (optimizer_ == FloorOptimizer::adagrad) {
      adagrad<Dim>(part.rows[u], &part.sums[u * Dim]);
    } else {
      rowwise_adagrad<Dim>(part.rows[u], &part.sums[u * Dim]);
    }
  }
}

void SparseFloor::lookup(Span<const Key> keys, Span<const std::int64_t> offsets, float* out) {
  dim_ == 16 ? forward<16>(keys, offsets, out) : forward<64>(keys, offsets, out);
}

void SparseFloor::train(Span<const Key> keys, Span<const std::int64_t> offsets,
                        const float* gradients, float* out) {
  lookup(keys, offsets, out);
  threads_.run([&](int thread) {
    Part& part = *parts_[static_cast<std::size_t>(thread)];
    dim_ == 16 ? update<16>(part, gradients) : update<64>(part, gradients);
  });
}

const float* SparseFloor::row(Key key) const { return part_of(key).table.find(key); }

std::int64_t SparseFloor::size() const {
  std::int64_t rows = 0;
  for (const auto& part : parts_) {
    rows += part->table.size();
  }
  return rows;
}

}  // namespace keyshard
