// log, exp and power from + - * / alone, so that CPUs with and without FMA, GPUs and library
// versions agree on every bit. In double: relative error below 1e-14 in the ranges of use, slower
// than libm, for initial values and rare exponents. In float, for every row: portable_decay,
// portable_log_float.
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

/// The natural logarithm of a positive, finite, normal x: x = m 2^e with m in [sqrt(1/2), sqrt(2)),
/// log m by the series of 2 artanh((m - 1) / (m + 1)).
KEYSHARD_HD inline double portable_log(double x) {
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  std::int64_t exponent = static_cast<std::int64_t>(bits >> 52 & 0x7FF) - 1023;
  double m = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double s2 = s * s;
  double series = 0.0;
  for (int k = 23; k >= 1; k -= 2) {
    series = series * s2 + 1.0 / k;
  }
  return static_cast<double>(exponent) * 0.6931471805599453 + 2.0 * s * series;
}

/// e^x for |x| < 700: x = k log 2 + r, e^r by its Taylor series.
KEYSHARD_HD inline double portable_exp(double x) {
  const double scaled = x * 1.4426950408889634;
  const std::int64_t k = static_cast<std::int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
  const double kd = static_cast<double>(k);
  const double r = (x - kd * 0.693147180369123816490) - kd * 1.90821492927058770002e-10;
  double series = 1.0;
  for (int n = 17; n >= 1; --n) {
    series = 1.0 + series * r / n;
  }
  return series * std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52);
}

/// `yes` where the condition holds, else `no`: by bits, where a compiler would make a branch of ?:,
/// which keeps a loop from becoming vector instructions.
KEYSHARD_HD KEYSHARD_INLINE float choose(bool condition, float yes, float no) {
  const std::uint32_t mask = 0u - static_cast<std::uint32_t>(condition);
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(yes) & mask) |
                              (std::bit_cast<std::uint32_t>(no) & ~mask));
}

KEYSHARD_HD KEYSHARD_INLINE double choose(bool condition, double yes, double no) {
  return condition ? yes : no;
}

/// The bits of a number.
KEYSHARD_HD inline std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }

KEYSHARD_HD inline std::uint64_t bits_of(double x) { return std::bit_cast<std::uint64_t>(x); }

/// e^x as a float, for x <= 0: relative error below 2^-23; 0 below -87, where floats end. NaN stays
/// NaN. Without a branch, so that loops of it become vector instructions. x = k log 2 + r; e^r by
/// the polynomial of expf in S. L. Moshier's Cephes library (1989).
KEYSHARD_HD KEYSHARD_INLINE float portable_decay(float x) {
  // The sum rounds x / log 2 to an integer k, which then stands in the low bits of the sum.
  const float rounder = 0x1.8p23f;
  const float rounded = x * 1.44269504f + rounder;
  const float k = rounded - rounder;
  const float r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
  float series = 1.9875691500e-4f;
  series = series * r + 1.3981999507e-3f;
  series = series * r + 8.3334519073e-3f;
  series = series * r + 4.1665795894e-2f;
  series = series * r + 1.6666665459e-1f;
  series = series * r + 5.0000001201e-1f;
  series = (series * r * r + r) + 1.0f;
  const std::uint32_t power = (std::bit_cast<std::uint32_t>(rounded) << 23) + 0x3F800000u;
  return choose(x < -87.0f, 0.0f, series * std::bit_cast<float>(power));
}

/// log x as a float, for a positive, finite, normal x: relative error below 2^-23; 0 at 1. Without
/// a branch, as portable_decay. x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m by the polynomial
/// of logf in S. L. Moshier's Cephes library (1989).
KEYSHARD_HD KEYSHARD_INLINE float portable_log_float(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x) - 0x3F3504F3u;  // of sqrt(1/2)
  const float exponent = static_cast<float>(static_cast<std::int32_t>(bits) >> 23);
  const float m = std::bit_cast<float>((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  float series = 7.0376836292e-2f;
  series = series * m - 1.1514610310e-1f;
  series = series * m + 1.1676998740e-1f;
  series = series * m - 1.2420140846e-1f;
  series = series * m + 1.4249322787e-1f;
  series = series * m - 1.6668057665e-1f;
  series = series * m + 2.0000714765e-1f;
  series = series * m - 2.4999993993e-1f;
  series = series * m + 3.3333331174e-1f;
  const float square = m * m;
  const float rest = (m * square * series + exponent * -2.12194440e-4f) - 0.5f * square;
  return (m + rest) + exponent * 0.693359375f;
}

/// The same in double, by portable_exp and portable_log; e^x is 0 below -700, and NaN stays NaN.
KEYSHARD_HD inline double portable_decay(double x) {
  return x >= -700.0 ? portable_exp(x) : x < -700.0 ? 0.0 : x;
}

KEYSHARD_HD inline double portable_log_of(double x) { return portable_log(x); }

KEYSHARD_HD KEYSHARD_INLINE float portable_log_of(float x) { return portable_log_float(x); }

/// x^p for x >= 0 and p > 0; 0 at 0.
KEYSHARD_HD inline double portable_power(double x, double p) {
  return x < 2.2250738585072014e-308 ? 0.0 : portable_exp(p * portable_log(x));
}

/// The root of a normal double by the correctly rounded instruction, on host and device.
KEYSHARD_HD inline double portable_sqrt(double x) { return __builtin_sqrt(x); }

/// c[0] x^(N-1) + ... + c[N-1], by Horner's rule.
template <int N>
KEYSHARD_HD inline double polynomial(const double (&c)[N], double x) {
  double value = c[0];
  for (int i = 1; i < N; ++i) {
    value = value * x + c[i];
  }
  return value;
}

/// Whether normal_quantile(p) is normal_quantile_middle(p): 85 % of all p.
KEYSHARD_HD inline bool in_normal_middle(double p) {
  const double q = p - 0.5;
  return q >= -0.425 && q <= 0.425;
}

/// normal_quantile(p) where in_normal_middle(p), and any number elsewhere. Without a branch, so
/// that a loop over it is compiled to vectors.
KEYSHARD_HD KEYSHARD_INLINE double normal_quantile_middle(double p) {
  const double middle[2][8] = {
      {2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
       13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608},
      {5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
       5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0}};
  const double q = p - 0.5;
  const double r = 0.180625 - q * q;
  return q * polynomial(middle[0], r) / polynomial(middle[1], r);
}

/// The number below which a standard normal variable lies with probability p, 0 < p < 1; relative
/// error about 1e-15. Source: M. J. Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37
/// (1988): rational functions of r in the middle, of the tails, and of their ends.
KEYSHARD_HD inline double normal_quantile(double p) {
  const double tail[2][8] = {
      {7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
       1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959,
       1.42343711074968357734},
      {1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
       0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
       2.05319162663775882187, 1.0}};
  const double end[2][8] = {
      {2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386,
       0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358,
       5.4637849111641143699, 6.6579046435011037772},
      {2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
       7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
       0.59983220655588793769, 1.0}};
  if (in_normal_middle(p)) {
    return normal_quantile_middle(p);
  }
  const bool low = p < 0.5;
  const double r = portable_sqrt(-portable_log(low ? p : 1.0 - p));
  const double value = r <= 5.0 ? polynomial(tail[0], r - 1.6) / polynomial(tail[1], r - 1.6)
                                : polynomial(end[0], r - 5.0) / polynomial(end[1], r - 5.0);
  return low ? -value : value;
}

}  // namespace keyshard
