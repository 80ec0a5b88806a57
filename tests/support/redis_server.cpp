#include "tests/support/redis_server.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keyshard::testing {
namespace {

bool accepts(const std::string& path) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const bool connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(socket);
  return connected;
}

}  // namespace

bool RedisServer::exists() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/redis-server").c_str(), X_OK) == 0) {
      return true;
    }
  }
  return false;
}

RedisServer::RedisServer(std::vector<std::string> options) : options_(std::move(options)) {
  start();
}

RedisServer::~RedisServer() { kill(); }

void RedisServer::kill() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }
}

void RedisServer::start() {
  const std::string socket = folder_.path("socket"), log = folder_.path("log");
  ::unlink(socket.c_str());
  std::vector<std::string> words{
      "redis-server", "--port", "0",     "--unixsocket",   socket,      "--save", "",
      "--appendonly", "no",     "--dir", folder_.path(""), "--logfile", log};
  words.insert(words.end(), options_.begin(), options_.end());
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves no server behind
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  for (int tries = 0; !accepts(socket); ++tries) {
    if (tries == 3000 || ::waitpid(process_, nullptr, WNOHANG) != 0) {
      throw std::runtime_error("expected redis-server to start: " + folder_.read("log"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

RedisRows RedisServer::rows() const {
  RedisRows rows;
  rows.host = folder_.path("socket");
  rows.timeout_ms = 60'000;
  return rows;
}

}  // namespace keyshard::testing
