// A combiner of a program that has a state, as the built-in ones have it (rules/combiners.hpp): it
// can be pooled in parts, so its table may answer in the reduced form, and gives the same bits in
// every exchange mode. An empty struct with static functions has
//   State, Back: trivially copyable, numbers of one type, float or double, at most 64 bytes
//   State start(float x), State add(State, float x), State merge(State, State)
//   float value(State, std::int64_t n)                  of n rows
//   Back back(float gradient, State, std::int64_t n)    what the gradient of each row is made of
//   float gradient(Back, float x)                       of a row
// and a `kName`, which may be absent. Each column has a state of its own. own_state_combiner makes
// the combiner from the struct.
#pragma once

#include <type_traits>

#include "embedding/lookup/own_pooling.hpp"
#include "embedding/rules/own_rules.hpp"

namespace keyshard {

/// The struct of a program as a lookup expects a combiner.
template <class Rule>
struct PooledBy : Rule {
  using Number = float;
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::any;
};

template <class C>
void pool_states(const BagItems& bag, const FeatureGroup& group, const std::uint16_t* shards,
                 std::byte* kept, float* out) {
  PoolBag<C, kLaneColumns<Solo>, std::int64_t>{.bag = bag,
                                               .size = bag.n,
                                               .row_offset = group.offset,
                                               .dim = group.dim,
                                               .shards = shards,
                                               .kept = reinterpret_cast<typename C::State*>(kept),
                                               .out = out}(Solo{});
}

template <class C>
void back_states(const BagRows& rows, const std::byte* kept, const float* gradient,
                 const BagGradients& gradients) {
  const auto* states = reinterpret_cast<const typename C::State*>(kept);
  for (std::int64_t d = 0; d < rows.dim; ++d) {
    const typename C::Back back = C::back(gradient[d], states[d], rows.size());
    for (std::int64_t j = 0; j < rows.size(); ++j) {
      gradients[j][d] = C::gradient(back, rows[j][d]);
    }
  }
}

template <class C>
void reduce_states(const ReduceParts& all, const BagPart& part, const FeatureGroup& group) {
  for_columns<kLaneColumns<Solo>, Widths::any>(
      Solo{}, group.dim, [&](std::int64_t first, auto width) {
        all.template reduce<C, kLaneColumns<Solo>>(part, group, first, width);
      });
}

template <class C>
void merge_states(const MergeBags& all, std::int64_t bag, const FeatureGroup& group,
                  MatrixView<float> pooled) {
  all.template merge<C>(bag, group, pooled, Solo{});
}

template <class C>
void write_back_states(const WriteBacks& all, const BagPart& part, const FeatureGroup& group,
                       MatrixView<const float> upstream) {
  all.template write<C>(part, group, upstream, Solo{});
}

template <class C>
void add_state_term(const std::byte* backs, std::int64_t column, std::int64_t width, const float* x,
                    bool starts, float* sum) {
  const auto* back = reinterpret_cast<const typename C::Back*>(backs) + column;
  for (std::int64_t d = 0; d < width; ++d) {
    const float term = C::gradient(back[d], x[d]);
    sum[d] = starts ? term : sum[d] + term;
  }
}

/// The state of a column of a bag whose rows stand in its order.
template <class C>
typename C::State state_of_rows(const BagRows& rows, std::int64_t d) {
  typename C::State state = C::start(rows[0][d]);
  for (std::int64_t j = 1; j < rows.size(); ++j) {
    state = C::add(state, rows[j][d]);
  }
  return state;
}

template <class C>
void forward_states(const void* /*rule*/, const BagRows& rows, float* out) {
  for (std::int64_t d = 0; d < rows.dim; ++d) {
    out[d] = C::value(state_of_rows<C>(rows, d), rows.size());
  }
}

template <class C>
void backward_states(const void* /*rule*/, const BagRows& rows, const float* gradient,
                     const BagGradients& gradients) {
  for (std::int64_t d = 0; d < rows.dim; ++d) {
    const typename C::State state = state_of_rows<C>(rows, d);
    const typename C::Back back = C::back(gradient[d], state, rows.size());
    for (std::int64_t j = 0; j < rows.size(); ++j) {
      gradients[j][d] = C::gradient(back, rows[j][d]);
    }
  }
}

/// Whether states or backward messages of this type can travel.
template <class T>
inline constexpr bool kTravels = std::is_trivially_copyable_v<T> && alignof(T) <= 8 &&
                                 alignof(T) >= 4 && sizeof(T) <= 64;

/// The combiner of a struct that has a state.
template <class Rule>
OwnCombiner own_state_combiner(const Rule& rule) {
  using C = PooledBy<Rule>;
  using State = typename C::State;
  using Back = typename C::Back;
  static_assert(std::is_empty_v<Rule>, "a combiner with a state has static functions alone");
  static_assert(kTravels<State> && kTravels<Back>,
                "state and backward message are trivially copyable floats or doubles, of at most "
                "64 bytes");
  static constexpr PoolingFunctions kPooling{
      .state_bytes = sizeof(State),
      .back_bytes = sizeof(Back),
      .alignment = alignof(State) > alignof(Back) ? alignof(State) : alignof(Back),
      .pool = pool_states<C>,
      .back = back_states<C>,
      .reduce = reduce_states<C>,
      .merge = merge_states<C>,
      .write_back = write_back_states<C>,
      .add_term = add_state_term<C>};
  static constexpr CombinerFunctions kFunctions{own_name<Rule>(), forward_states<C>,
                                                backward_states<C>, &kPooling};
  return make_own<OwnCombiner>(rule, kFunctions);
}

}  // namespace keyshard
