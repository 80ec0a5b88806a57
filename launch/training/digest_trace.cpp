#include "launch/training/digest_trace.hpp"

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "runtime/error.hpp"

namespace keyshard {

DigestTrace::DigestTrace(std::string path, Communicator<Cpu>& communicator)
    : path_(std::move(path)), communicator_(communicator) {
  if (communicator.rank() != 0) {
    return;
  }
  if (std::filesystem::exists(path_)) {
    expected_.open(path_);
    require(expected_.is_open(), Kind::io, "{}: cannot be read", path_);
  } else {
    written_.open(path_);
    require(written_.is_open(), Kind::io, "{}: cannot be written", path_);
  }
}

void DigestTrace::compare(std::int64_t step, const std::string& place, const std::string& hex) {
  std::string line;
  do {
    ++line_;
    require(static_cast<bool>(std::getline(expected_, line)), Kind::other_bits,
            "{}:{}: expected the digest of {}: found the end of the file", path_, line_, place);
  } while (last_step_ == 0 && std::atoll(line.c_str()) < step);

  const std::size_t cut = line.rfind('\t');
  require(cut != std::string::npos, Kind::other_bits,
          "{}:{}: expected a line of step, stage, tensor and digest: found \"{}\"", path_, line_,
          line);
  std::string expected_place = "step " + line.substr(0, cut);
  for (std::size_t tab = 0; (tab = expected_place.find('\t')) != std::string::npos;) {
    expected_place.replace(tab, 1, ", ");
  }
  require(expected_place == place, Kind::other_bits,
          "{}:{}: expected the digest of {}: found that of {}", path_, line_, expected_place,
          place);
  require(line.substr(cut + 1) == hex, Kind::other_bits, "{}:{}: {}: expected {}: found {}", path_,
          line_, place, line.substr(cut + 1), hex);
}

void DigestTrace::add(std::int64_t step, const std::string& stage, const std::string& tensor,
                      const Digest128& digest) {
  if (expected_.is_open()) {
    compare(step, fmt::format("step {}, {}, {}", step, stage, tensor), digest.hex());
  } else if (written_.is_open()) {
    written_ << fmt::format("{}\t{}\t{}\t{}\n", step, stage, tensor, digest.hex());
  }
  first_step_ = last_step_ == 0 ? step : first_step_;
  last_step_ = step;
}

void DigestTrace::add_slices(std::int64_t step, const std::string& stage, const std::string& tensor,
                             Span<const Digest128> slices) {
  const std::vector<Digest128> all = communicator_.gather_joined(slices);
  add(step, stage, tensor, digest_of(all.data(), all.size() * sizeof(Digest128)));
}

void DigestTrace::flush() {
  if (written_.is_open()) {
    written_.flush();
    require(written_.good(), Kind::io, "{}: cannot be written: is the disk full?", path_);
  }
}

std::string DigestTrace::summary() const {
  return last_step_ == 0 ? fmt::format("no digests of steps for {}", path_)
                         : fmt::format("digests of steps {} to {} are {} {}", first_step_,
                                       last_step_, expected_.is_open() ? "those of" : "in", path_);
}

}  // namespace keyshard
