// Which rows stay where a table is restricted to a number of rows: those of the highest status, and
// of equal statuses those of the lowest keys. A policy says what the status of a row is: a number
// from the birth of the row on, which each optimizer step of the row may change. Status 2^32 - 1 is
// never left.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "embedding/rules/own_policy.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

class Settings;

/// No row leaves; rows have no status.
struct KeepAll {
  static constexpr const char* kName = "none";
};

/// The time of the last step, load or assignment of the row: the number of the optimizer step, or
/// seconds since 1970 (TimestampSeconds).
struct Timestamp {
  static constexpr const char* kName = "timestamp";

  KEYSHARD_HD static std::uint32_t birth(std::uint32_t now) { return now; }

  KEYSHARD_HD static std::uint32_t touched(std::uint32_t /*status*/, std::uint32_t now) {
    return now;
  }
};

/// Timestamp by the clock of each rank's machine: which rows stay depends on when a job runs.
struct TimestampSeconds : Timestamp {
  static constexpr const char* kName = "timestamp_seconds";
};

/// In how many optimizer steps the row took part: repeats in one step count once.
struct Frequency {
  static constexpr const char* kName = "frequency";

  KEYSHARD_HD static std::uint32_t birth(std::uint32_t /*now*/) { return 0; }

  KEYSHARD_HD static std::uint32_t touched(std::uint32_t status, std::uint32_t /*now*/) {
    return status + (status < UINT32_MAX ? 1u : 0u);
  }
};

/// The table of the family (family.hpp).
template <class... Own>
using PoliciesAnd = std::variant<KeepAll, Timestamp, TimestampSeconds, Frequency, Own...>;
using BuiltInPolicy = PoliciesAnd<>;
using RestrictPolicy = PoliciesAnd<OwnPolicy>;

inline bool has_status(const RestrictPolicy& policy) {
  return !std::holds_alternative<KeepAll>(policy);
}

/// The policy of that name. Throws Error{invalid_argument} with the list of names and the nearest
/// name.
RestrictPolicy policy_of(const std::string& name, const OwnRules& own = no_own_rules());
const char* name_of(const RestrictPolicy& policy);

/// Reads the name of a policy under `key`. A problem is recorded in `settings`.
RestrictPolicy read_policy(Settings& settings, const char* key, const RestrictPolicy& otherwise,
                           const OwnRules& own = no_own_rules());

}  // namespace keyshard
