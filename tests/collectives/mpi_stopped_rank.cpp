// A library that is preloaded into the ranks of a job. It stops one rank for ever by SIGSTOP, in a
// call that belongs to a known phase. The call hangs for 0.8 s before the stop, as with a slow disk
// or network, so that the beats of the rank tell this phase.
//
//   KEYSHARD_STOP_RANK   the rank
//   KEYSHARD_STOP_IN     starting: before MPI is initialised; initialising: in MPI_Init_thread,
//   where
//                        it connects to a process of its launcher; meeting: in the first duplicate
//                        of a communicator; reading: in a read of a text file; exchanging: in a
//                        message of the main thread; saving: in a write of its file of a checkpoint
//   KEYSHARD_STOP_WHEN   a file: the rank is not stopped before this file exists
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include <dlfcn.h>
#include <mpi.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

/// Whether a thread is in MPI_Init_thread; threads of MPI connect, too.
std::atomic<bool> initialising{false};

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

void stop_in(std::string_view what) {
  if (environment("KEYSHARD_STOP_IN") != what ||
      environment("KEYSHARD_STOP_RANK") != environment("OMPI_COMM_WORLD_RANK") ||
      ::access(std::getenv("KEYSHARD_STOP_WHEN"), F_OK) != 0) {
    return;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(800));
  ::kill(::getpid(), SIGSTOP);
}

/// The path of an open file has this part.
bool is_file(int file, std::string_view part) {
  char path[4096];
  const ssize_t length =
      ::readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path, sizeof path);
  return length > 0 && std::string_view(path, static_cast<std::size_t>(length)).find(part) !=
                           std::string_view::npos;
}

template <class F>
F* next(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t pread(int file, void* out, std::size_t bytes, off_t offset) {
  if (is_file(file, "train.tsv")) {
    stop_in("reading");
  }
  return next<decltype(pread)>("pread")(file, out, bytes, offset);
}

ssize_t pwrite(int file, const void* data, std::size_t bytes, off_t offset) {
  if (is_file(file, ".tmp-") && is_file(file, "/rank-")) {
    stop_in("saving");
  }
  return next<decltype(pwrite)>("pwrite")(file, data, bytes, offset);
}

ssize_t pwrite64(int file, const void* data, std::size_t bytes, off64_t offset) {
  return pwrite(file, data, bytes, offset);
}

int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
  stop_in("starting");
  initialising = true;
  const int code = PMPI_Init_thread(argc, argv, required, provided);
  initialising = false;
  return code;
}

int connect(int socket, const sockaddr* address, socklen_t bytes) {
  if (initialising) {
    stop_in("initialising");
  }
  return next<decltype(connect)>("connect")(socket, address, bytes);
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm* copy) {
  stop_in("meeting");
  return PMPI_Comm_dup(comm, copy);
}

int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request* request) {
  if (::getpid() == ::gettid()) {
    stop_in("exchanging");
  }
  return PMPI_Isend(data, count, type, to, tag, comm, request);
}

}  // extern "C"
