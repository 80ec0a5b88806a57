#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <mpi.h>

#include "collectives/mpi_session.hpp"
#include "runtime/error.hpp"
#include "runtime/idle_wait.hpp"

namespace keyshard {
namespace {

/// How long a rank asks without sleeping: MPI moves bytes only while it is asked, so a nanosecond
/// a byte is added.
constexpr std::chrono::microseconds kAwake = std::chrono::milliseconds(100);

void check_mpi(int status, const char* call, int peer = -1) {
  if (status == MPI_SUCCESS) {
    return;
  }
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  const std::string reason(text, static_cast<std::size_t>(length));
  require(peer < 0, Kind::communication, "{} failed with rank {}: {}", call, peer, reason);
  fail(Kind::communication, "{} failed: {}", call, reason);
}

int narrow(std::int64_t count) {
  require(count >= 0 && count <= std::numeric_limits<int>::max(), Kind::communication,
          "expected a message of at most 2^31 - 1 items: found {}", count);
  return static_cast<int>(count);
}

class MpiCommunicator final : public Communicator<Cpu> {
 public:
  MpiCommunicator(MPI_Comm parent, MpiOptions options) : options_(std::move(options)) {
    require(options_.piece_bytes > 0, Kind::invalid_argument,
            "expected pieces of at least one byte: found {}", options_.piece_bytes);
    check_mpi(MPI_Comm_dup(parent, &comm_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    notes_.resize(static_cast<std::size_t>(size_));
    MPI_Comm node = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
              "MPI_Comm_split_type");
    MPI_Comm_size(node, &local_size_);
    MPI_Comm_free(&node);
  }

  ~MpiCommunicator() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0) {
      MPI_Comm_free(&comm_);
    }
  }

  int rank() const noexcept override { return rank_; }

  int size() const noexcept override { return size_; }

  int local_size() const noexcept override { return local_size_; }

  void all_to_all(Stream<Cpu>&, Span<const std::byte> send, Span<const std::int64_t> send_bytes,
                  Span<std::byte> receive, Span<const std::int64_t> receive_bytes) override {
    const InPhase phase(progress(), Phase::exchanging);
    requests_.clear();
    pieces_.clear();
    std::byte* to = receive.data();
    for (int peer = 0; peer < size_; ++peer) {
      const std::int64_t bytes = receive_bytes[static_cast<std::size_t>(peer)];
      if (peer != rank_) {
        post_pieces(bytes, {peer, 0, true},
                    [&](std::int64_t offset, int count, MPI_Request* request) {
                      return MPI_Irecv(to + offset, count, MPI_BYTE, peer, kTag, comm_, request);
                    });
      }
      to += bytes;
    }
    const std::byte* from = send.data();
    const std::byte* own = nullptr;
    for (int peer = 0; peer < size_; ++peer) {
      const std::int64_t bytes = send_bytes[static_cast<std::size_t>(peer)];
      if (peer != rank_) {
        post_pieces(bytes, {peer, 0, false},
                    [&](std::int64_t offset, int count, MPI_Request* request) {
                      return MPI_Isend(from + offset, count, MPI_BYTE, peer, kTag, comm_, request);
                    });
      } else {
        own = from;
      }
      from += bytes;
    }
    copy_own(own, send_bytes, receive, receive_bytes);
    wait_all();
  }

  void all_to_all_values(Span<const std::int64_t> send, Span<std::int64_t> receive) override {
    const InPhase phase(progress(), Phase::exchanging);
    require(send.size() == receive.size() && send.size() % size_ == 0, Kind::communication,
            "all_to_all_values: expected equal parts for {} ranks: found {} values to send and "
            "room for {}",
            size_, send.size(), receive.size());
    const int count = narrow(send.size() / size_);
    collective([&](MPI_Request* request) {
      return MPI_Ialltoall(send.data(), count, MPI_INT64_T, receive.data(), count, MPI_INT64_T,
                           comm_, request);
    });
  }

  void all_gather(Span<const std::byte> mine, Span<std::byte> all) override {
    require(all.size() == mine.size() * size_, Kind::communication,
            "all_gather: expected room for {} x {} bytes: found {}", size_, mine.size(),
            all.size());
    const int count = narrow(static_cast<std::int64_t>(mine.size()));
    collective([&](MPI_Request* request) {
      return MPI_Iallgather(mine.data(), count, MPI_BYTE, all.data(), count, MPI_BYTE, comm_,
                            request);
    });
  }

  void broadcast(Span<std::byte> inout, int root) override {
    const int count = narrow(static_cast<std::int64_t>(inout.size()));
    collective([&](MPI_Request* request) {
      return MPI_Ibcast(inout.data(), count, MPI_BYTE, root, comm_, request);
    });
  }

  void all_reduce(Span<std::int64_t> inout, Reduction operation) override {
    const MPI_Op op = operation == Reduction::sum   ? MPI_SUM
                      : operation == Reduction::min ? MPI_MIN
                                                    : MPI_MAX;
    const int count = narrow(static_cast<std::int64_t>(inout.size()));
    collective([&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, inout.data(), count, MPI_INT64_T, op, comm_, request);
    });
  }

  void all_reduce(Span<double> inout, Reduction operation) override {
    require(operation != Reduction::sum, Kind::invalid_argument,
            "expected min or max: floats are added by folds only");
    // Extrema by gathering: no reduction of floats goes through MPI.
    std::vector<double> all(inout.size() * static_cast<std::size_t>(size_));
    all_gather(std::as_bytes(inout), std::as_writable_bytes(Span<double>(all)));
    for (std::size_t i = 0; i < all.size(); ++i) {
      double& extreme = inout[i % inout.size()];
      extreme = operation == Reduction::min ? std::min(extreme, all[i]) : std::max(extreme, all[i]);
    }
  }

  void barrier() override {
    collective([&](MPI_Request* request) { return MPI_Ibarrier(comm_, request); });
  }

  void abort(std::string_view why, int exit_code) noexcept override {
    if (options_.on_abort) {
      options_.on_abort(why);
    }
    MPI_Abort(comm_, exit_code);
  }

  void throw_if_aborted() override {}  // an abort has ended this process

  bool post(int to, Span<const std::byte> note) override {
    Note& last = notes_[static_cast<std::size_t>(to)];
    int done = 0;
    check_mpi(MPI_Test(&last.request, &done, MPI_STATUS_IGNORE), "MPI_Test", to);
    if (done != 0) {
      last.bytes.assign(note.begin(), note.end());
      check_mpi(MPI_Isend(last.bytes.data(), narrow(static_cast<std::int64_t>(note.size())),
                          MPI_BYTE, to, kNoteTag, comm_, &last.request),
                "MPI_Isend", to);
    }
    return done != 0;
  }

  bool poll(int from, Span<std::byte> note) override {
    int arrived = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    check_mpi(MPI_Improbe(from, kNoteTag, comm_, &arrived, &message, MPI_STATUS_IGNORE),
              "MPI_Improbe", from);
    if (arrived != 0) {
      check_mpi(MPI_Mrecv(note.data(), narrow(static_cast<std::int64_t>(note.size())), MPI_BYTE,
                          &message, MPI_STATUS_IGNORE),
                "MPI_Mrecv", from);
    }
    return arrived != 0;
  }

  std::unique_ptr<Communicator<Cpu>> duplicate() override {
    return std::make_unique<MpiCommunicator>(comm_, options_);
  }

  Communicator<Cpu>& host() noexcept override { return *this; }

 private:
  static constexpr int kTag = 1;
  static constexpr int kNoteTag = 2;

  struct Note {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  /// A piece of a message to or from a peer. A received piece must have exactly `bytes` bytes.
  struct Piece {
    int peer;
    int bytes;
    bool receives;
  };

  /// Posts the pieces of one message.
  template <class Post>
  void post_pieces(std::int64_t bytes, Piece piece, const Post& post_piece) {
    const auto most =
        static_cast<std::int64_t>(std::min(options_.piece_bytes, std::size_t{1} << 30));
    for (std::int64_t offset = 0; offset < bytes; offset += most) {
      piece.bytes = narrow(std::min(most, bytes - offset));
      pieces_.push_back(piece);
      requests_.push_back(MPI_REQUEST_NULL);
      check_mpi(post_piece(offset, piece.bytes, &requests_.back()), "all_to_all", piece.peer);
    }
  }

  void copy_own(const std::byte* own, Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                Span<const std::int64_t> receive_bytes) {
    const auto me = static_cast<std::size_t>(rank_);
    require(send_bytes[me] == receive_bytes[me], Kind::communication,
            "all_to_all: expected {} bytes of this rank for itself: found {}", receive_bytes[me],
            send_bytes[me]);
    std::int64_t offset = 0;
    for (std::size_t peer = 0; peer < me; ++peer) {
      offset += receive_bytes[peer];
    }
    if (send_bytes[me] > 0) {
      std::memcpy(receive.data() + offset, own, static_cast<std::size_t>(send_bytes[me]));
    }
  }

  /// Waits by asking again and again, and offers the core to others in between; sleeps in between
  /// where nothing has come for a while. Every request that ends counts as progress, so that a
  /// large exchange is not taken for a stuck one.
  void wait_all() {
    const InCollective waits(progress());
    done_.resize(requests_.size());
    statuses_.resize(requests_.size());
    const std::chrono::microseconds awake = awake_time();
    IdleWait wait(awake);
    for (std::size_t left = requests_.size(); left > 0;) {
      int done = 0;
      const int status = MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &done,
                                      done_.data(), statuses_.data());
      for (int i = 0; i < done; ++i) {
        check_done(static_cast<std::size_t>(done_[static_cast<std::size_t>(i)]),
                   statuses_[static_cast<std::size_t>(i)], status == MPI_ERR_IN_STATUS);
      }
      check_mpi(status, "MPI_Testsome");
      if (done > 0) {
        left -= static_cast<std::size_t>(done);
        progress().advance();
        wait = IdleWait(awake);
      } else {
        wait.pass();
      }
    }
  }

  std::chrono::microseconds awake_time() const {
    std::int64_t bytes = 0;
    for (const Piece& piece : pieces_) {
      bytes += piece.bytes;
    }
    return kAwake + std::chrono::microseconds(bytes / 1000);
  }

  /// Only the pieces of an all_to_all have a peer to name.
  void check_done(std::size_t request, const MPI_Status& status, bool has_error) const {
    const Piece piece = request < pieces_.size() ? pieces_[request] : Piece{-1, 0, false};
    check_mpi(has_error ? status.MPI_ERROR : MPI_SUCCESS, "communication", piece.peer);
    if (piece.receives) {
      int bytes = 0;
      MPI_Get_count(&status, MPI_BYTE, &bytes);
      require(bytes == piece.bytes, Kind::communication,
              "all_to_all: expected {} bytes from rank {}: found {}", piece.bytes, piece.peer,
              bytes);
    }
  }

  template <class Start>
  void collective(const Start& start) {
    pieces_.clear();
    requests_.assign(1, MPI_REQUEST_NULL);
    check_mpi(start(requests_.data()), "collective");
    wait_all();
  }

  MpiOptions options_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  int local_size_ = 1;
  std::vector<MPI_Request> requests_;
  std::vector<Piece> pieces_;
  std::vector<int> done_;
  std::vector<MPI_Status> statuses_;
  std::vector<Note> notes_;  ///< the last note to each rank
};

}  // namespace

MpiSession::MpiSession() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  int provided = MPI_THREAD_SINGLE;
  if (initialized == 0) {
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
    owned_ = true;
  } else {
    MPI_Query_thread(&provided);
  }
  require(provided == MPI_THREAD_MULTIPLE, Kind::communication,
          "expected an MPI initialised with MPI_THREAD_MULTIPLE ({}): found thread level {}",
          static_cast<int>(MPI_THREAD_MULTIPLE), provided);
}

MpiSession::~MpiSession() {
  if (owned_) {
    MPI_Finalize();
  }
}

std::unique_ptr<Communicator<Cpu>> MpiSession::world(const MpiOptions& options) {
  return std::make_unique<MpiCommunicator>(MPI_COMM_WORLD, options);
}

std::unique_ptr<Communicator<Cpu>> MpiSession::adopt(const void* mpi_comm,
                                                     const MpiOptions& options) {
  return std::make_unique<MpiCommunicator>(*static_cast<const MPI_Comm*>(mpi_comm), options);
}

}  // namespace keyshard
