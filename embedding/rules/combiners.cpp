#include "embedding/rules/combiners.hpp"

#include <algorithm>
#include <type_traits>

#include "embedding/rules/family.hpp"

namespace keyshard {
namespace {

const FamilyNames& combiners() {
  static const FamilyNames kFamily{
      "a combiner", names_of_rules<Combiner>(), {}, {{"sqrt_n", "sqrtn"}}};
  return kFamily;
}

/// The size of what travels.
template <class T>
std::int64_t bytes_of() {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 8);
  return sizeof(T);
}

Combiner combiner_at(std::size_t index) {
  Combiner result;
  with_alternative<Combiner>(index, [&](auto combiner) { result = combiner; });
  return result;
}

}  // namespace

const std::vector<std::string>& combiner_names() { return combiners().built; }

Combiner combiner_of(const std::string& name) { return combiner_at(combiners().at(name)); }

const char* name_of(const Combiner& combiner) {
  return visit_variant(combiner, [](auto c) { return decltype(c)::kName; });
}

Combiner read_combiner(Settings& settings, const char* key, const Combiner& otherwise) {
  const std::optional<std::size_t> index = combiners().read(settings, key, name_of(otherwise));
  return index ? combiner_at(*index) : otherwise;
}

std::int64_t state_bytes(const Combiner& combiner) {
  return visit_variant(combiner, [](auto c) { return bytes_of<typename decltype(c)::State>(); });
}

std::int64_t back_bytes(const Combiner& combiner) {
  return visit_variant(combiner, [](auto c) { return bytes_of<typename decltype(c)::Back>(); });
}

std::int64_t combiner_alignment(const Combiner& combiner) {
  return visit_variant(combiner, [](auto c) {
    return static_cast<std::int64_t>(
        std::max(alignof(typename decltype(c)::State), alignof(typename decltype(c)::Back)));
  });
}

bool back_needs_state(const Combiner& combiner) {
  return visit_variant(combiner, [](auto c) { return decltype(c)::kBackNeedsState; });
}

float empty_value(const Combiner& combiner, EmptyForm form) {
  return visit_variant(combiner, [form](auto c) { return decltype(c)::empty(form); });
}

}  // namespace keyshard
