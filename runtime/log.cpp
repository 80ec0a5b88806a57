#include "runtime/log.hpp"

#include <atomic>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>

#include "runtime/error.hpp"

namespace keyshard {

struct Log::State {
  spdlog::logger logger;
  std::shared_ptr<std::atomic<std::int64_t>> lost;
};

Log::Log() = default;
Log::~Log() = default;
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;

Log::Log(const std::string& path, int rank) {
  try {
    state_ = std::make_unique<State>(
        State{spdlog::logger("keyshard", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path)),
              std::make_shared<std::atomic<std::int64_t>>(0)});
  } catch (const spdlog::spdlog_ex& error) {
    fail(Kind::io, "{}: cannot be written: {}", path, error.what());
  }
  state_->logger.set_pattern(fmt::format("%Y-%m-%d %H:%M:%S.%e %l rank {}: %v", rank));
  state_->logger.set_error_handler([lost = state_->lost](const std::string&) { ++*lost; });
  state_->logger.flush_on(spdlog::level::info);
}

std::int64_t Log::lost() const noexcept { return state_ == nullptr ? 0 : state_->lost->load(); }

void Log::write(LogLevel level, std::string_view text) {
  if (state_ != nullptr) {
    state_->logger.log(level == LogLevel::info      ? spdlog::level::info
                       : level == LogLevel::warning ? spdlog::level::warn
                                                    : spdlog::level::err,
                       spdlog::string_view_t(text.data(), text.size()));
  }
}

}  // namespace keyshard
