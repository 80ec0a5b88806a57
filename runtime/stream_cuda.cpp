#include "runtime/copy.hpp"
#include "runtime/cuda_call.hpp"
#include "runtime/event.hpp"
#include "runtime/stream.hpp"
#include "runtime/stream_timer.hpp"

namespace keyshard {
namespace {

/// Of the calling thread.
void use_device(int device) { check_cuda(cudaSetDevice(device), "cudaSetDevice"); }

/// Whether what a query asks for is done.
bool is_done(cudaError_t answer, std::string_view query) {
  if (answer == cudaErrorNotReady) {
    return false;
  }
  check_cuda(answer, query);
  return true;
}

}  // namespace

Stream<Cuda>::Stream(int device, int threads)
    : device_(device),
      memory_(std::make_shared<MemoryPool<Cuda>>(device)),
      // A thread that cannot use the device finds out at its first call of the runtime.
      host_(threads, kShareWork, [device] { cudaSetDevice(device); }) {}

void Stream<Cuda>::wait() {
  use_device(device_);
  if (!peer_waits_.empty()) {
    peer_waits_.wait([&] { return is_done(cudaStreamQuery(handle()), "cudaStreamQuery"); });
    peer_waits_ = {};
  }
  check_cuda(cudaStreamSynchronize(handle()), "cudaStreamSynchronize");
}

void Stream<Cuda>::begin_launch() {
  use_device(device_);
  ++launches_;
}

Stream<Cuda> stream_of_call() {
  int device = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return Stream<Cuda>(device);
}

void copy_bytes(Stream<Cuda>& stream, const void* from, std::size_t bytes, void* to,
                CopyKind kind) {
  if (bytes == 0) {
    return;
  }
  constexpr cudaMemcpyKind kKinds[] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost,
                                       cudaMemcpyDeviceToDevice};
  use_device(stream.device());
  if (kind == CopyKind::device_to_host && !stream.peer_waits().empty()) {
    stream.wait();  // the copy itself would sleep until the stream comes to it
  }
  check_cuda(cudaMemcpyAsync(to, from, bytes, kKinds[static_cast<int>(kind)], stream.handle()),
             "cudaMemcpyAsync");
  if (kind == CopyKind::device_to_host) {
    stream.wait();
  }
}

void zero_bytes(Stream<Cuda>& stream, void* to, std::size_t bytes) {
  use_device(stream.device());
  check_cuda(cudaMemsetAsync(to, 0, bytes, stream.handle()), "cudaMemsetAsync");
}

Event<Cuda>::Event() {
  check_cuda(cudaEventCreateWithFlags(&handle_, cudaEventDisableTiming),
             "cudaEventCreateWithFlags");
}

Event<Cuda>::~Event() { cudaEventDestroy(handle_); }

void Event<Cuda>::record(Stream<Cuda>& stream) {
  check_cuda(cudaEventRecord(handle_, stream.handle()), "cudaEventRecord");
  peer_waits_ = stream.peer_waits();
}

void Event<Cuda>::hold(Stream<Cuda>& stream) const {
  check_cuda(cudaStreamWaitEvent(stream.handle(), handle_, 0), "cudaStreamWaitEvent");
  stream.peer_waits().add(peer_waits_);
}

void Event<Cuda>::wait() const {
  if (!peer_waits_.empty()) {
    peer_waits_.wait([&] { return is_done(cudaEventQuery(handle_), "cudaEventQuery"); });
  }
  check_cuda(cudaEventSynchronize(handle_), "cudaEventSynchronize");
}

StreamTimer<Cuda>::StreamTimer(Stream<Cuda>& stream) : stream_(stream) {
  use_device(stream.device());
  check_cuda(cudaEventCreateWithFlags(&begin_, cudaEventDefault), "cudaEventCreateWithFlags");
  const cudaError_t made = cudaEventCreateWithFlags(&end_, cudaEventDefault);
  if (made != cudaSuccess) {
    cudaEventDestroy(begin_);
    check_cuda(made, "cudaEventCreateWithFlags");
  }
}

StreamTimer<Cuda>::~StreamTimer() {
  cudaEventDestroy(begin_);
  cudaEventDestroy(end_);
}

void StreamTimer<Cuda>::start() {
  check_cuda(cudaEventRecord(begin_, stream_.handle()), "cudaEventRecord");
}

double StreamTimer<Cuda>::stop() {
  check_cuda(cudaEventRecord(end_, stream_.handle()), "cudaEventRecord");
  stream_.wait();
  float milliseconds = 0;
  check_cuda(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
  return 1e-3 * static_cast<double>(milliseconds);
}

}  // namespace keyshard
