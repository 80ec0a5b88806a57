// Work of a device that waits for other ranks, such as an exchange. Where the host waits for such
// work it must not sleep in a call of the device, for a peer may have failed: it asks the device
// whether the work is done, and the communicator whether the peers still come, in turn. Streams and
// events of a device carry the communicators that their work waits for.
#pragma once

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/progress.hpp"

namespace keyshard {

/// Ranks that the work of a device waits for.
class Peers {
 public:
  virtual ~Peers() = default;

  /// Throws where a peer, or this rank, has failed. Never waits.
  virtual void check() = 0;

  /// Of this rank, which counts as waiting for others while the host waits for the device.
  virtual Progress& progress() noexcept = 0;
};

/// The peers of the work that a queue has been given since the host last waited for it. Peers whose
/// owner is gone are not asked: their work has ended.
class PeerWaits {
 public:
  bool empty() const noexcept { return peers_.empty(); }

  void add(const std::weak_ptr<Peers>& peers) {
    const auto same = [&](const std::weak_ptr<Peers>& other) {
      return !other.owner_before(peers) && !peers.owner_before(other);
    };
    if (std::none_of(peers_.begin(), peers_.end(), same)) {
      peers_.push_back(peers);
    }
  }

  void add(const PeerWaits& other) {
    for (const std::weak_ptr<Peers>& peers : other.peers_) {
      add(peers);
    }
  }

  /// Returns when ready() holds. Throws what a check throws, also where ready() holds: the work may
  /// have been cut short.
  template <class Ready>
  void wait(const Ready& ready) const {
    std::vector<Waiting> all;
    for (const std::weak_ptr<Peers>& peers : peers_) {
      if (auto present = peers.lock()) {
        all.emplace_back(std::move(present));
      }
    }
    for (bool done = false; !done;) {
      done = ready();
      for (const Waiting& waiting : all) {
        waiting.check();
      }
      if (!done) {
        std::this_thread::yield();
      }
    }
  }

 private:
  /// Marks a rank as waiting for as long as this object lives.
  class Waiting {
   public:
    explicit Waiting(std::shared_ptr<Peers> peers) : peers_(std::move(peers)) {
      peers_->progress().begin_wait();
    }

    Waiting(Waiting&& other) noexcept = default;
    Waiting& operator=(Waiting&&) = delete;

    ~Waiting() {
      if (peers_ != nullptr) {
        peers_->progress().end_wait();
      }
    }

    void check() const { peers_->check(); }

   private:
    std::shared_ptr<Peers> peers_;
  };

  std::vector<std::weak_ptr<Peers>> peers_;
};

}  // namespace keyshard
