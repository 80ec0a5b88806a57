#include "embedding/stores/redis_connection.hpp"

#include <csignal>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// Keeps SIGPIPE from this thread while it lives: hiredis writes to sockets whose other end may be
/// gone. The signals of the process stay as they are.
class NoBrokenPipe {
 public:
  NoBrokenPipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }

  ~NoBrokenPipe() {
    if (!was_pending_) {
      const timespec now{};
      sigtimedwait(&pipe_, nullptr, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
};

/// The first word of an error of the server. The rest may repeat arguments of the command.
std::string first_word(const redisReply& reply) {
  const std::string text(reply.str, reply.len);
  return text.substr(0, text.find(' '));
}

}  // namespace

std::string RedisConnection::place() const {
  const std::string at =
      server_.host.front() == '/' ? server_.host : fmt::format("{}:{}", server_.host, server_.port);
  return fmt::format("redis {}/{}", at, server_.db);
}

void RedisConnection::close_and_fail(const std::string& text) {
  context_.reset();
  fail(Kind::communication, "{}: {}", place(), text);
}

bool RedisConnection::connect() {
  if (context_ != nullptr) {
    return false;
  }
  const NoBrokenPipe guard;
  const timeval limit{server_.timeout_ms / 1000, server_.timeout_ms % 1000 * 1000};
  context_.reset(
      server_.host.front() == '/'
          ? redisConnectUnixWithTimeout(server_.host.c_str(), limit)
          : redisConnectWithTimeout(server_.host.c_str(), static_cast<int>(server_.port), limit));
  if (context_ == nullptr || context_->err != 0) {
    close_and_fail(fmt::format("expected a Redis server: found {}",
                               context_ == nullptr ? "no memory" : context_->errstr));
  }
  redisSetTimeout(context_.get(), limit);
  authenticate();
  command({"SELECT", std::to_string(server_.db)});
  return true;
}

void RedisConnection::authenticate() {
  if (server_.password_env.empty()) {
    return;
  }
  const char* password = std::getenv(server_.password_env.c_str());
  if (password == nullptr) {
    close_and_fail(fmt::format("expected a password in the environment variable {}: found none",
                               server_.password_env));
  }
  std::vector<std::string_view> auth{"AUTH"};
  if (!server_.user.empty()) {
    auth.push_back(server_.user);
  }
  auth.push_back(password);
  queue(auth);
  void* found = nullptr;
  const int result = redisGetReply(context_.get(), &found);
  const RedisReply reply(static_cast<redisReply*>(found));
  if (result != REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
    close_and_fail(fmt::format(
        "expected the server to accept {} and the password in the environment variable {}: found "
        "{}",
        server_.user.empty() ? "the default user" : "user " + server_.user, server_.password_env,
        result == REDIS_OK ? first_word(*reply) : context_->errstr));
  }
}

void RedisConnection::queue(const std::vector<std::string_view>& command) {
  texts_.clear();
  sizes_.clear();
  for (const std::string_view& text : command) {
    texts_.push_back(text.data());
    sizes_.push_back(text.size());
  }
  if (redisAppendCommandArgv(context_.get(), static_cast<int>(command.size()), texts_.data(),
                             sizes_.data()) != REDIS_OK) {
    close_and_fail(fmt::format("expected to queue a command: found {}", context_->errstr));
  }
}

RedisReply RedisConnection::next() {
  void* found = nullptr;
  int result = redisGetReplyFromReader(context_.get(), &found);
  if (result == REDIS_OK && found == nullptr) {  // no whole answer has come yet
    const NoBrokenPipe guard;
    result = redisGetReply(context_.get(), &found);
  }
  if (result != REDIS_OK) {
    close_and_fail(fmt::format("expected an answer within {} ms: found {}", server_.timeout_ms,
                               context_->errstr));
  }
  RedisReply reply(static_cast<redisReply*>(found));
  if (reply->type == REDIS_REPLY_ERROR) {
    close_and_fail("expected the server to do a command: found " +
                   std::string(reply->str, reply->len));
  }
  return reply;
}

}  // namespace keyshard
