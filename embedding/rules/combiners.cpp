#include "embedding/rules/combiners.hpp"

#include <algorithm>
#include <type_traits>

#include "embedding/rules/own_rules.hpp"

namespace keyshard {
namespace {

const FamilyNames& combiners() {
  static const FamilyNames kFamily{"a combiner", names_of_rules<Combiner>(), {{"sqrt_n", "sqrtn"}}};
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

/// The registered combiners of a program follow those that are built in.
AnyCombiner any_combiner_at(std::size_t index, const OwnRules& own) {
  constexpr std::size_t kBuiltIn = std::variant_size_v<Combiner>;
  return index < kBuiltIn ? AnyCombiner(combiner_at(index))
                          : AnyCombiner(own.combiners[index - kBuiltIn]);
}

}  // namespace

const std::vector<std::string>& combiner_names() { return combiners().built; }

Combiner combiner_of(const std::string& name) { return combiner_at(combiners().at(name)); }

const char* name_of(const Combiner& combiner) {
  return visit_variant(combiner, [](auto c) { return decltype(c)::kName; });
}

const char* name_of(const AnyCombiner& combiner) {
  const auto* own = std::get_if<OwnCombiner>(&combiner);
  return own != nullptr ? rule_name(*own) : name_of(std::get<Combiner>(combiner));
}

AnyCombiner any_combiner_of(const std::string& name, const OwnRules& own) {
  return any_combiner_at(combiners().with(own_names(own.combiners)).at(name), own);
}

AnyCombiner read_combiner(Settings& settings, const char* key, const AnyCombiner& otherwise,
                          const OwnRules& own) {
  const std::optional<std::size_t> index =
      combiners().with(own_names(own.combiners)).read(settings, key, name_of(otherwise));
  return index ? any_combiner_at(*index, own) : otherwise;
}

std::int64_t state_bytes(const Combiner& combiner) {
  return visit_variant(combiner, [](auto c) { return bytes_of<typename decltype(c)::State>(); });
}

std::int64_t double_state_bytes(const Combiner& combiner) {
  std::int64_t bytes = 0;
  with_alternative<CombinersOf<double>>(
      combiner.index(), [&](auto c) { bytes = bytes_of<typename decltype(c)::State>(); });
  return bytes;
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
