#include "tests/support/sim_team.hpp"

#include <cstring>
#include <exception>
#include <thread>
#include <vector>

#include "runtime/error.hpp"

namespace keyshard::testing {
namespace {

/// Lanes reached different collectives. Thrown to the caller only if no lane has another error.
struct WentApart : Error {
  using Error::Error;
};

}  // namespace

TeamMeeting::Words TeamMeeting::meet(int lane, const char* name, std::uint64_t word) {
  names_[static_cast<std::size_t>(lane)] = name;
  words_[static_cast<std::size_t>(lane)] = word;
  barrier_.arrive_and_wait();
  const Words words = words_;
  const std::array<const char*, kMaxWidth> names = names_;
  barrier_.arrive_and_wait();
  for (int other = 1; other < width_; ++other) {
    const char* found = names[static_cast<std::size_t>(other)];
    if (std::strcmp(found, names[0]) != 0) {
      throw WentApart(Kind::invalid_argument,
                      fmt::format("expected all lanes at the same collective: lane 0 is at {}, "
                                  "lane {} at {}",
                                  names[0], other, found),
                      __FILE__, __LINE__);
    }
  }
  return words;
}

unsigned SimTeam::mask(const char* name, bool value) const {
  const TeamMeeting::Words words = meeting_->meet(lane_, name, value ? 1 : 0);
  unsigned mask = 0;
  for (int lane = 0; lane < num_threads(); ++lane) {
    mask |= words[static_cast<std::size_t>(lane)] != 0 ? 1u << lane : 0u;
  }
  return mask;
}

void run_lanes(int width, const std::function<void(const SimTeam&)>& body) {
  TeamMeeting meeting(width);
  std::vector<std::exception_ptr> failed(static_cast<std::size_t>(width)), apart(failed);
  const auto run = [&](int lane) {
    const auto at = static_cast<std::size_t>(lane);
    try {
      try {
        body(SimTeam(meeting, lane));
      } catch (const WentApart&) {
        throw;
      } catch (...) {
        failed[at] = std::current_exception();
      }
      meeting.meet(lane, failed[at] ? "an exception" : "the end", 0);
    } catch (const WentApart&) {
      apart[at] = std::current_exception();
    }
  };
  std::vector<std::thread> lanes;
  for (int lane = 1; lane < width; ++lane) {
    lanes.emplace_back(run, lane);
  }
  run(0);
  for (std::thread& lane : lanes) {
    lane.join();
  }
  for (const auto* errors : {&failed, &apart}) {
    for (const std::exception_ptr& error : *errors) {
      if (error) {
        std::rethrow_exception(error);
      }
    }
  }
}

}  // namespace keyshard::testing
