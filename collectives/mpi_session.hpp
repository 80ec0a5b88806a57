// MPI as this process sees it: adopts an MPI that is initialised already, or initialises MPI and
// finalises it at the end. The communicators of a session must not outlive the session.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "collectives/communicator.hpp"

namespace keyshard {

struct MpiOptions {
  /// all_to_all cuts its messages into pieces of at most this size, and of at most 2^30 bytes.
  std::size_t piece_bytes = std::size_t{1} << 30;
  /// Called by abort() with its reason, before MPI ends all processes. A program shows the reason
  /// to the user here: the library itself prints nothing.
  std::function<void(std::string_view why)> on_abort;
};

class MpiSession {
 public:
  /// Throws Error{communication} where MPI cannot serve several threads.
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  /// A communicator over all processes: a duplicate of MPI_COMM_WORLD. Collective.
  std::unique_ptr<Communicator<Cpu>> world(const MpiOptions& options = {});

  /// A communicator over the processes of the caller's `comm`, given as `&comm` of type MPI_Comm*:
  /// a duplicate of it. Collective.
  std::unique_ptr<Communicator<Cpu>> adopt(const void* mpi_comm, const MpiOptions& options = {});

 private:
  bool owned_ = false;
};

}  // namespace keyshard
