// What a row holds before its first step: a pure function of (table seed, key, column), the same on
// every rank, at every position of a batch, before and after a resume, and on CPU and GPU. Column c
// takes word c % 4 of philox(seed, key, c / 4); from k, the upper 24 bits of the word, a uniform is
// k 2^-24, and a normal is the inverse distribution function at (k + 1/2) 2^-24.
//
// A struct says what is particular to its rule: fields(self, field) calls field(key, member, least,
// most) for every key of a configuration. initializers.cpp has the table of names: one rule may
// have several.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "embedding/rules/own_initializer.hpp"
#include "runtime/portable_math.hpp"
#include "runtime/random.hpp"

namespace keyshard {

class Settings;
struct SettingValue;

/// The same number everywhere (zeros, ones, constant).
struct Constant {
  double value = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("value", self.value);
  }

  template <class T>
  KEYSHARD_HD T at(std::uint32_t, std::int64_t) const {
    return static_cast<T>(value);
  }
};

/// A number per column. `values` [dim] is borrowed from the table that uses the rule.
struct ConstantVector {
  const double* values = nullptr;

  template <class T>
  KEYSHARD_HD T at(std::uint32_t, std::int64_t column) const {
    return static_cast<T>(values[column]);
  }
};

/// Uniform in [low, high).
struct Uniform {
  double low = -0.05;
  double high = 0.05;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("low", self.low);
    field("high", self.high);
  }

  template <class T>
  KEYSHARD_HD T at(std::uint32_t word, std::int64_t) const {
    const T least = static_cast<T>(low), most = static_cast<T>(high);
    return least + (most - least) * static_cast<T>(unit_float(word));
  }
};

/// (k + 1/2) 2^-24, where k is the upper 24 bits of the word.
KEYSHARD_HD inline double middle_of_unit(std::uint32_t word) {
  return (static_cast<double>(static_cast<std::int32_t>(word >> 8)) + 0.5) * 0x1p-24;
}

/// The number at a quantile of the standard normal, where mean and deviation are numbers of type T.
template <class T>
KEYSHARD_HD T quantile_of(double mean, double stddev, double quantile) {
  return static_cast<T>(static_cast<double>(static_cast<T>(mean)) +
                        static_cast<double>(static_cast<T>(stddev)) * quantile);
}

/// Normal with this mean and standard deviation. (k + 1/2) 2^-24 is never 0 or 1, so every value is
/// finite.
struct Normal {
  double mean = 0;
  double stddev = 0.05;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("mean", self.mean);
    field("stddev", self.stddev);
  }

  KEYSHARD_HD double probability(std::uint32_t word) const { return middle_of_unit(word); }

  template <class T>
  KEYSHARD_HD T at_quantile(double quantile) const {
    return quantile_of<T>(mean, stddev, quantile);
  }
};

/// Normal cut at two standard deviations on each side.
struct TruncatedNormal {
  double mean = 0;
  double stddev = 0.05;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("mean", self.mean);
    field("stddev", self.stddev);
  }

  KEYSHARD_HD double probability(std::uint32_t word) const {
    constexpr double kBelow =
        0.022750131948179212;  // distribution function of the standard normal at -2
    return kBelow + middle_of_unit(word) * (1.0 - 2.0 * kBelow);
  }

  template <class T>
  KEYSHARD_HD T at_quantile(double quantile) const {
    return quantile_of<T>(mean, stddev, quantile);
  }
};

template <class... Own>
using InitializersAnd =
    std::variant<Constant, ConstantVector, Uniform, Normal, TruncatedNormal, Own...>;
using BuiltInInitializer = InitializersAnd<>;
using Initializer = InitializersAnd<OwnInitializer>;

/// Variance scaling (Glorot, He, LeCun) for rows of `dim` columns: fan_in = 1 and fan_out = dim,
/// since a lookup is a product with a one-hot vector. The variance is scale / fan.
enum class Fan { in, out, average };
enum class Distribution { truncated_normal, normal, uniform };
Initializer variance_scaling(double scale, Fan fan, Distribution distribution, std::int64_t dim);

/// What a configuration says of initial values: a rule, or a constant per column in its place.
struct InitialValues {
  Initializer initializer = Normal{};
  std::vector<double> constant;  ///< [dim], or empty
};

/// Reads a table `type = NAME` and the keys of that initializer for rows of `dim`; `otherwise`
/// where there is no type. Problems are recorded in `settings`.
InitialValues read_initializer(Settings settings, const InitialValues& otherwise, std::int64_t dim,
                               const OwnRules& own = no_own_rules());

/// The initializer of such a table, for a tree that stands in no configuration file. Throws
/// Error{invalid_argument} with all of its problems.
InitialValues initializer_of(const SettingValue& tree, std::int64_t dim,
                             const OwnRules& own = no_own_rules());

/// The table that `initializer_of` reads back as these initial values, bit for bit. `dim` is that
/// of the rows.
SettingValue initializer_tree(const InitialValues& initial, std::int64_t dim);

/// The values of a rule that is a function of normal quantiles for four words: those of the middle
/// of the distribution are computed together, the others one by one.
template <class I, class T>
KEYSHARD_HD KEYSHARD_INLINE void four_normals(const I& initializer, const Random4& words,
                                              T (&values)[4]) {
  double p[4], quantile[4];
  for (int k = 0; k < 4; ++k) {
    p[k] = initializer.probability(words.word[k]);
    quantile[k] = normal_quantile_middle(p[k]);
  }
  for (int k = 0; k < 4; ++k) {
    if (!in_normal_middle(p[k])) {
      quantile[k] = normal_quantile(p[k]);
    }
    values[k] = initializer.template at_quantile<T>(quantile[k]);
  }
}

/// Calls put(column, value) for the initial values of one row of `dim` columns, numbers of type T,
/// float or double. Lanes take four columns at a time. A rule of a program says which numbers it
/// makes.
template <class T, class I, class Team, class Put>
KEYSHARD_HD KEYSHARD_INLINE void initial_numbers(const Team& team, const I& initializer,
                                                 std::uint64_t seed, std::uint64_t key,
                                                 std::int64_t dim, const Put& put) {
  for (std::int64_t c = 4 * static_cast<std::int64_t>(team.thread_rank()); c < dim;
       c += 4 * static_cast<std::int64_t>(team.num_threads())) {
    const Random4 words = philox(seed, key, static_cast<std::uint64_t>(c / 4));
    if constexpr (requires { initializer.probability(words.word[0]); }) {
      T values[4];
      four_normals(initializer, words, values);
      for (std::int64_t k = c; k < dim && k < c + 4; ++k) {
        put(k, values[k - c]);
      }
    } else if constexpr (requires { initializer.template at<T>(words.word[0], c); }) {
      for (std::int64_t k = c; k < dim && k < c + 4; ++k) {
        put(k, initializer.template at<T>(words.word[k - c], k));
      }
    } else {
      for (std::int64_t k = c; k < dim && k < c + 4; ++k) {
        put(k, initializer(words.word[k - c], k));
      }
    }
  }
}

/// Writes the initial values of one row of `dim` columns.
template <class I, class Team>
KEYSHARD_HD void initialize_row(const Team& team, const I& initializer, std::uint64_t seed,
                                std::uint64_t key, std::int64_t dim, float* row) {
  initial_numbers<float>(team, initializer, seed, key, dim,
                         [row](std::int64_t k, float value) { row[k] = value; });
}

}  // namespace keyshard
