#include "launch/bench/context.hpp"

#include <algorithm>
#include <chrono>

#include "launch/bench/machine.hpp"
#include "runtime/error.hpp"

namespace keyshard {

BenchContext::BenchContext(const BenchCommand& command, Communicator<Cpu>& communicator,
                           Stream<Cpu>& stream, BenchReport& report)
    : command_(command), communicator_(communicator), stream_(stream), report_(report) {}

std::string BenchContext::own_name(const std::string& variant) const {
  std::string name = variant.empty() ? "keyshard" : "keyshard-" + variant;
  if (communicator_.size() > 1) {
    name += fmt::format("-{}rank", communicator_.size());
  }
  return name;
}

const IdBatches& BenchContext::whole(const std::string& name) {
  const auto found = whole_.find(name);
  if (found != whole_.end()) {
    return found->second;
  }
  WorkloadOptions options{command_.data, 0, 20'000'000};
  if (command_.quick) {
    options = {"", command_.warmup + command_.steps + 6, 400'000};
  }
  const DeviceSizes& sizes = command_.sizes;
  IdBatches batches =
      name == "W1"   ? workload_w1(options)
      : name == "W2" ? workload_w2(options)
      : name == "W3"
          ? workload_w3(options)
          : workload_p({sizes.samples, sizes.tables, sizes.rows_of_table, sizes.batches});
  return whole_.emplace(name, std::move(batches)).first->second;
}

const IdBatches& BenchContext::own(const std::string& name) {
  if (communicator_.size() == 1) {
    return whole(name);
  }
  const auto found = own_.find(name);
  if (found != own_.end()) {
    return found->second;
  }
  return own_.emplace(name, share_of(whole(name), communicator_.rank(), communicator_.size()))
      .first->second;
}

double BenchContext::seconds_of(const std::function<void()>& body) {
  if (communicator_.size() > 1) {
    communicator_.barrier();
  }
  if (clock_) {
    return clock_(body);
  }
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double BenchContext::wait_quiet() {
  // A rank that waits for ranks that sleep longer would itself keep the machine busy.
  const int patience = communicator_.size() > 1 ? 1 : 8;
  return command_.quick || clock_ ? 0 : wait_until_quiet(0.25, patience);
}

std::int64_t BenchContext::first_timed_step(std::int64_t steps) const {
  return steps - std::min(command_.steps, std::max<std::int64_t>(1, steps * 2 / 3));
}

std::int64_t BenchContext::first_step(std::int64_t steps) const {
  return std::max<std::int64_t>(0, first_timed_step(steps) - command_.warmup);
}

std::vector<BenchResult> BenchContext::race(const std::string& measure, std::int64_t steps,
                                            const std::vector<Contender>& contenders) {
  const std::int64_t first = first_timed_step(steps);
  std::vector<BenchResult> results;
  for (const Contender& contender : contenders) {
    results.push_back({contender.peer, measure, "ms", dim_, {}, {}, 0, 0});
  }
  for (std::int64_t round = 0; round < command_.rounds; ++round) {
    const double busy = wait_quiet();
    for (std::size_t c = 0; c < contenders.size(); ++c) {
      for (std::int64_t step = first_step(steps); step < first; ++step) {
        contenders[c].step(step);
      }
      std::vector<double> milliseconds;
      for (std::int64_t step = first; step < steps; ++step) {
        milliseconds.push_back(1e3 * seconds_of([&] { contenders[c].step(step); }));
      }
      results[c].rounds.push_back(spread_of(milliseconds));
      results[c].others_busy = std::max(results[c].others_busy, busy);
    }
  }
  return results;
}

}  // namespace keyshard
