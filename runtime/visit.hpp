// The alternatives of a closed set, on the host and on a device, where std::visit does not exist.
// The choice is made of the variant itself: an alternative that is added is chosen by its own
// index.
#pragma once

#include <cstddef>
#include <utility>
#include <variant>

#include "runtime/portable.hpp"

namespace keyshard {

/// Alternatives that only the host can use: rules of a program, the last of their variant. Code of
/// a device leaves them out, since a device refuses what has one.
template <class Alternative>
concept HostOnly = requires {
  requires Alternative::kHostOnly;
};

/// How many alternatives, the first ones, the present side chooses from.
template <class Variant>
KEYSHARD_HD constexpr std::size_t choices() {
  constexpr std::size_t kAll = std::variant_size_v<Variant>;
#ifdef __CUDA_ARCH__
  return kAll - (HostOnly<std::variant_alternative_t<kAll - 1, Variant>> ? 1 : 0);
#else
  return kAll;
#endif
}

/// The body may run on the host alone; a device compiler would warn of that in a template for both.
#ifdef __CUDACC__
#pragma nv_exec_check_disable
#endif
/// Calls body(alternative) with what `variant` holds and returns its result; the results of all
/// alternatives have one type. The variant must not be valueless, as none of trivially copyable
/// alternatives is.
template <std::size_t I = 0, class Variant, class Body>
KEYSHARD_HD KEYSHARD_INLINE decltype(auto) visit_variant(const Variant& variant, const Body& body) {
  if constexpr (I + 1 < choices<Variant>()) {
    if (variant.index() != I) {
      return visit_variant<I + 1>(variant, body);
    }
  }
  return body(*std::get_if<I>(&variant));
}

#ifdef __CUDACC__
#pragma nv_exec_check_disable
#endif
/// Calls body(Alternative{}) with the alternative of that index. An index that the variant does not
/// have calls nothing.
template <class Variant, std::size_t I = 0, class Body>
KEYSHARD_HD KEYSHARD_INLINE void with_alternative(std::size_t index, const Body& body) {
  if (index == I) {
    body(std::variant_alternative_t<I, Variant>{});
  } else if constexpr (I + 1 < std::variant_size_v<Variant>) {
    with_alternative<Variant, I + 1>(index, body);
  }
}

#ifdef __CUDACC__
#pragma nv_exec_check_disable
#endif
/// Calls body(argument) in a function of its own: a rare case, whose code would make the loops of
/// the usual cases slower where the body is expanded.
template <class Body, class Argument>
KEYSHARD_NOINLINE KEYSHARD_HD void call_outlined(const Body& body, const Argument& argument) {
  body(argument);
}

}  // namespace keyshard
