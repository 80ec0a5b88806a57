#include "launch/bench/workload.hpp"

#include <algorithm>
#include <fstream>
#include <numeric>

#include "launch/bench/random_draw.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kSamples = 4096;
constexpr std::int64_t kFeatures = 26;
constexpr std::int64_t kDense = 13;
constexpr std::int64_t kBagFeatures = 4;
constexpr std::int64_t kLongestBag = 40;
constexpr std::int64_t kVocabulary = 2'000'000;
constexpr std::uint64_t kUniformFeature = 1000;  // of W3
constexpr std::uint64_t kSeed = 1;

Key key_of(std::uint64_t feature, std::uint64_t rank) {
  return mix64(((feature + 1) << 32) + rank);
}

template <class T>
std::vector<T> read_raw(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  require(file.good(), Kind::bad_input, "{}: cannot be opened", path);
  const auto bytes = static_cast<std::int64_t>(file.tellg());
  require(bytes % static_cast<std::int64_t>(sizeof(T)) == 0, Kind::bad_input,
          "{}: expected a multiple of {} bytes: found {}", path, sizeof(T), bytes);
  std::vector<T> data(static_cast<std::size_t>(bytes) / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(data.data()), bytes);
  require(file.good(), Kind::bad_input, "{}: cannot be read", path);
  return data;
}

void expect_size(const std::string& path, std::size_t found, std::int64_t expected) {
  require(static_cast<std::int64_t>(found) == expected, Kind::bad_input,
          "{}: expected {} numbers: found {}", path, expected, found);
}

IdBatches single_ids(const char* name, std::int64_t steps, std::int64_t samples = kSamples,
                     std::int64_t features = kFeatures) {
  IdBatches batches;
  batches.name = name;
  batches.samples = samples;
  batches.features = features;
  for (std::int64_t step = 0; step <= steps; ++step) {
    batches.starts.push_back(step * batches.bags());
  }
  batches.offsets.resize(static_cast<std::size_t>(batches.bags()) + 1);
  std::iota(batches.offsets.begin(), batches.offsets.end(), 0);
  return batches;
}

IdBatches read_single(const char* name, const std::string& path) {
  std::vector<Key> keys = read_raw<Key>(path);
  const auto steps = static_cast<std::int64_t>(keys.size()) / (kSamples * kFeatures);
  expect_size(path, keys.size(), steps * kSamples * kFeatures);
  IdBatches batches = single_ids(name, steps);
  batches.keys = std::move(keys);
  return batches;
}

/// Adds a step whose ids come feature by feature, with bag sizes [features x samples], and lays the
/// ids out sample by sample.
void add_bags(IdBatches& batches, Span<const std::uint8_t> lengths, Span<const Key> ids) {
  const std::size_t features = static_cast<std::size_t>(batches.features);
  const std::size_t samples = static_cast<std::size_t>(batches.samples);
  std::vector<std::size_t> from{0};
  for (const std::uint8_t length : lengths) {
    from.push_back(from.back() + length);
  }
  require(static_cast<std::int64_t>(from.back()) == ids.size(), Kind::bad_input,
          "{}: expected as many ids as bags have: found {} ids for {}", batches.name, ids.size(),
          from.back());
  std::int64_t offset = 0;
  batches.offsets.push_back(0);
  for (std::size_t b = 0; b < samples; ++b) {
    for (std::size_t f = 0; f < features; ++f) {
      const std::size_t bag = f * samples + b;
      const auto part = ids.subspan(from[bag], lengths[bag]);
      batches.keys.insert(batches.keys.end(), part.begin(), part.end());
      offset += lengths[bag];
      batches.offsets.push_back(offset);
    }
  }
  batches.starts.push_back(static_cast<std::int64_t>(batches.keys.size()));
}

IdBatches empty_bags() {
  IdBatches batches;
  batches.name = "W2";
  batches.samples = kSamples;
  batches.features = kBagFeatures;
  batches.starts.push_back(0);
  return batches;
}

IdBatches make_w1(std::int64_t steps) {
  const RankDraw ranks(zipf_weights(kVocabulary, 1.05));
  IdBatches batches = single_ids("W1", steps);
  batches.dense_columns = kDense;
  Pcg64 ids(kSeed, 1), labels(kSeed, 2), dense(kSeed, 3);
  for (std::int64_t sample = 0; sample < steps * kSamples; ++sample) {
    std::int64_t high = 0;
    for (std::int64_t f = 0; f < kFeatures; ++f) {
      batches.keys.push_back(key_of(static_cast<std::uint64_t>(f), ranks(ids.next())));
      high += static_cast<std::int64_t>(batches.keys.back() >> 63);
    }
    const auto chance = static_cast<std::uint64_t>(std::clamp<std::int64_t>(high - 8, 0, 16));
    batches.labels.push_back(labels.next() >> 60 < chance ? 1.0f : 0.0f);
    for (std::int64_t d = 0; d < kDense; ++d) {
      batches.dense.push_back(static_cast<float>(dense.next() >> 40) * 0x1p-24f);
    }
  }
  return batches;
}

IdBatches make_w2(std::int64_t steps) {
  const RankDraw ranks(zipf_weights(kVocabulary, 1.05));
  const RankDraw sizes(geometric_weights(kLongestBag, 0.92));
  IdBatches batches = empty_bags();
  Pcg64 ids(kSeed, 11), lengths_source(kSeed, 12);
  for (std::int64_t step = 0; step < steps; ++step) {
    std::vector<std::uint8_t> lengths;
    for (std::int64_t bag = 0; bag < kSamples * kBagFeatures; ++bag) {
      lengths.push_back(static_cast<std::uint8_t>(sizes(lengths_source.next()) + 1));
    }
    std::vector<Key> keys;
    for (std::size_t bag = 0; bag < lengths.size(); ++bag) {
      for (std::uint8_t i = 0; i < lengths[bag]; ++i) {
        keys.push_back(key_of(bag / static_cast<std::size_t>(kSamples), ranks(ids.next())));
      }
    }
    add_bags(batches, lengths, keys);
  }
  return batches;
}

IdBatches make_w3(std::int64_t steps, std::int64_t keys) {
  IdBatches batches = single_ids("W3", steps);
  Pcg64 ids(kSeed, 21);
  for (std::int64_t i = 0; i < steps * kSamples * kFeatures; ++i) {
    const std::uint64_t rank = ((ids.next() >> 32) * static_cast<std::uint64_t>(keys)) >> 32;
    batches.keys.push_back(key_of(kUniformFeature, rank));
  }
  for (std::int64_t rank = 0; rank < keys; ++rank) {
    batches.table_keys.push_back(key_of(kUniformFeature, static_cast<std::uint64_t>(rank)));
  }
  return batches;
}

}  // namespace

Span<const Key> IdBatches::keys_of(std::int64_t step) const {
  const auto begin = static_cast<std::size_t>(starts[static_cast<std::size_t>(step)]);
  const auto end = static_cast<std::size_t>(starts[static_cast<std::size_t>(step) + 1]);
  return Span<const Key>(keys).subspan(begin, end - begin);
}

Span<const std::int64_t> IdBatches::offsets_of(std::int64_t step) const {
  const auto size = static_cast<std::size_t>(bags()) + 1;
  return Span<const std::int64_t>(offsets).subspan(
      single() ? 0 : static_cast<std::size_t>(step) * size, size);
}

double IdBatches::mean_ids() const {
  return static_cast<double>(keys.size()) / static_cast<double>(steps());
}

IdBatches workload_w1(const WorkloadOptions& options) {
  if (options.folder.empty()) {
    return make_w1(options.steps > 0 ? options.steps : 200);
  }
  const std::string folder = options.folder + "/W1/";
  IdBatches batches = read_single("W1", folder + "ids.u64");
  batches.dense_columns = kDense;
  batches.dense = read_raw<float>(folder + "dense.f32");
  expect_size(folder + "dense.f32", batches.dense.size(), batches.steps() * kSamples * kDense);
  const auto labels = read_raw<std::uint8_t>(folder + "labels.u8");
  expect_size(folder + "labels.u8", labels.size(), batches.steps() * kSamples);
  batches.labels.assign(labels.begin(), labels.end());
  return batches;
}

IdBatches workload_w2(const WorkloadOptions& options) {
  if (options.folder.empty()) {
    return make_w2(options.steps > 0 ? options.steps : 100);
  }
  const std::string folder = options.folder + "/W2/";
  const auto lengths = read_raw<std::uint8_t>(folder + "lengths.u8");
  const auto starts = read_raw<std::uint64_t>(folder + "step_starts.u64");
  const auto ids = read_raw<Key>(folder + "ids.u64");
  constexpr std::size_t kBags = static_cast<std::size_t>(kSamples * kBagFeatures);
  const std::size_t steps = lengths.size() / kBags;
  expect_size(folder + "step_starts.u64", starts.size(), static_cast<std::int64_t>(steps) + 1);
  IdBatches batches = empty_bags();
  for (std::size_t step = 0; step < steps; ++step) {
    require(starts[step] <= starts[step + 1] && starts[step + 1] <= ids.size(), Kind::bad_input,
            "{}step_starts.u64: expected ascending starts up to {}: found {} in step {}", folder,
            ids.size(), starts[step + 1], step);
    add_bags(batches, Span<const std::uint8_t>(lengths).subspan(step * kBags, kBags),
             Span<const Key>(ids).subspan(starts[step], starts[step + 1] - starts[step]));
  }
  return batches;
}

IdBatches workload_w3(const WorkloadOptions& options) {
  if (options.folder.empty()) {
    return make_w3(options.steps > 0 ? options.steps : 100, options.keys);
  }
  IdBatches batches = read_single("W3", options.folder + "/W3/ids.u64");
  batches.table_keys = read_raw<Key>(options.folder + "/W3/all_keys.u64");
  return batches;
}

Key workload_key(std::int64_t feature, std::int64_t rank) {
  return key_of(static_cast<std::uint64_t>(feature), static_cast<std::uint64_t>(rank));
}

IdBatches workload_p(const SharedShape& shape) {
  const RankDraw ranks(zipf_weights(shape.rows, 1.05));
  IdBatches batches = single_ids("P", shape.steps, shape.samples, shape.features);
  Pcg64 ids(kSeed, 31);
  for (std::int64_t sample = 0; sample < shape.steps * shape.samples; ++sample) {
    for (std::int64_t f = 0; f < shape.features; ++f) {
      batches.keys.push_back(workload_key(f, ranks(ids.next())));
    }
  }
  return batches;
}

IdBatches share_of(const IdBatches& all, std::int64_t rank, std::int64_t ranks) {
  require(all.samples % ranks == 0, Kind::invalid_argument,
          "expected a number of ranks that divides the {} samples of a step: found {}", all.samples,
          ranks);
  IdBatches share;
  share.name = all.name;
  share.samples = all.samples / ranks;
  share.features = all.features;
  share.dense_columns = all.dense_columns;
  share.table_keys = all.table_keys;
  share.starts.push_back(0);
  const std::int64_t first = rank * share.samples;
  for (std::int64_t step = 0; step < all.steps(); ++step) {
    const Span<const std::int64_t> offsets = all.offsets_of(step).subspan(
        static_cast<std::size_t>(first * all.features), static_cast<std::size_t>(share.bags()) + 1);
    const auto ids =
        all.keys_of(step).subspan(static_cast<std::size_t>(offsets.front()),
                                  static_cast<std::size_t>(offsets.back() - offsets.front()));
    share.keys.insert(share.keys.end(), ids.begin(), ids.end());
    share.starts.push_back(static_cast<std::int64_t>(share.keys.size()));
    if (step == 0 || !all.single()) {
      for (const std::int64_t offset : offsets) {
        share.offsets.push_back(offset - offsets.front());
      }
    }
    const auto rows = [&](const std::vector<float>& from, std::int64_t columns,
                          std::vector<float>& to) {
      const auto begin = from.begin() + (step * all.samples + first) * columns;
      to.insert(to.end(), begin, begin + share.samples * columns);
    };
    if (!all.labels.empty()) {
      rows(all.labels, 1, share.labels);
      rows(all.dense, all.dense_columns, share.dense);
    }
  }
  return share;
}

void fill_gradients(Span<float> gradients, std::int64_t first) {
  auto number = static_cast<std::uint32_t>(first);
  for (float& g : gradients) {
    g = 0x1p-13f * (static_cast<float>(number * 2654435761u >> 24) - 128.0f);
    ++number;
  }
}

}  // namespace keyshard
