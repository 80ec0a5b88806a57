// Doubles of the CUDA runtime calls that keyshard makes, on the simulated device, and of those that
// the objects of nvcc 13 make. Linked in place of libcudart (nvcc -cudart none). A call that is
// missing here does not link, so none is ignored in silence. After a kernel has failed every call
// fails, as on a device.
#include "tests/sim/cudart_double.hpp"

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>

#include "runtime/sim_block.hpp"
#include "tests/sim/device.hpp"
#include "tests/sim/queues.hpp"

namespace keyshard::sim {
namespace {

struct Kernel {
  std::string name;
  HostTwin twin{};
};

/// What the calls below share.
struct Runtime {
  std::recursive_mutex mutex;
  std::map<const void*, Kernel> kernels;  // by stub
  std::string failure;                    // of the device, which is lost
  Work work;
};

Runtime& runtime() {
  static Runtime one;
  return one;
}

thread_local cudaError_t last_error = cudaSuccess;

Queue* queue_of_legacy_stream() {
  static Queue* queue = make_queue();
  return queue;
}

cudaError_t launch(const void* stub, dim3 blocks, dim3 lanes, void** arguments,
                   cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  const auto found = runtime().kernels.find(stub);
  if (found == runtime().kernels.end() || found->second.twin.run == nullptr) {
    runtime().failure = "a kernel has no host twin: " +
                        (found == runtime().kernels.end() ? "?" : found->second.name);
    return refuse(cudaErrorInvalidDeviceFunction);
  }
  if (blocks.x == 0 || lanes.x == 0 || lanes.x > 1024 ||
      blocks.y * blocks.z * lanes.y * lanes.z != 1) {
    return refuse(cudaErrorInvalidConfiguration);
  }
  const HostTwin twin = found->second.twin;
  // The parameter is copied now, as by the real call.
  const auto* bytes = static_cast<const unsigned char*>(arguments[0]);
  std::shared_ptr<void> work(::operator new(twin.work_bytes),
                             [](void* copy) { ::operator delete(copy); });
  std::memcpy(work.get(), bytes, twin.work_bytes);
  ++runtime().work.kernels;
  return guarded([&] {
    enqueue(queue_of(stream), [twin, work = std::move(work), blocks, lanes] {
      twin.run(blocks.x, static_cast<int>(lanes.x), work.get());
      return true;
    });
  });
}

}  // namespace

void register_kernel(const void* stub, const HostTwin& twin) {
  const std::lock_guard lock(runtime().mutex);
  runtime().kernels[stub].twin = twin;
}

Queue* queue_of(cudaStream_t stream) {
  return stream == nullptr ? queue_of_legacy_stream() : reinterpret_cast<Queue*>(stream);
}

std::string device_failure() {
  const std::lock_guard lock(runtime().mutex);
  return runtime().failure;
}

cudaError_t refuse(cudaError_t error) { return last_error = error; }

void lose_device(const std::string& why) {
  const std::lock_guard lock(runtime().mutex);
  runtime().failure = runtime().failure.empty() ? why : runtime().failure;
}

void reset_device(const Options& options) {
  finish_all();
  {
    const std::lock_guard lock(runtime().mutex);
    runtime().failure.clear();
    runtime().work = {};
    last_error = cudaSuccess;
  }
  configure(options);
}

Work work() {
  const std::lock_guard lock(runtime().mutex);
  return runtime().work;
}

void count_copy(cudaMemcpyKind kind, std::size_t bytes) {
  const std::lock_guard lock(runtime().mutex);
  Work& all = runtime().work;
  const auto size = static_cast<std::int64_t>(bytes);
  if (kind == cudaMemcpyHostToDevice) {
    ++all.copies_to_device;
    all.bytes_to_device += size;
  } else if (kind == cudaMemcpyDeviceToHost) {
    ++all.copies_to_host;
    all.bytes_to_host += size;
  }
}

void count_wait() {
  const std::lock_guard lock(runtime().mutex);
  ++runtime().work.waits;
}

}  // namespace keyshard::sim

using namespace keyshard::sim;

namespace {

Queue* queue(cudaStream_t stream) { return queue_of(stream); }

Mark* mark(cudaEvent_t event) { return reinterpret_cast<Mark*>(event); }

/// Asks the simulator whether something is done.
template <class Ask>
cudaError_t queried(const Ask& ask) {
  bool done = false;
  const cudaError_t result = guarded([&] { done = ask(); });
  return result == cudaSuccess && !done ? cudaErrorNotReady : result;
}

struct Configuration {
  dim3 blocks, lanes;
  std::size_t shared;
  cudaStream_t stream;
};

thread_local Configuration pushed;

}  // namespace

extern "C" {

// What the code that nvcc 13 generates calls.

void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}

void __cudaRegisterFatBinaryEnd(void**) {}

void __cudaUnregisterFatBinary(void**) {}

char __cudaInitModule(void**) { return 1; }

void __cudaRegisterFunction(void**, const char* stub, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  const std::lock_guard lock(runtime().mutex);
  runtime().kernels[stub].name = name;
}

unsigned __cudaPushCallConfiguration(dim3 blocks, dim3 lanes, std::size_t shared, void* stream) {
  pushed = {blocks, lanes, shared, static_cast<cudaStream_t>(stream)};
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* blocks, dim3* lanes, std::size_t* shared,
                                       void* stream) {
  *blocks = pushed.blocks;
  *lanes = pushed.lanes;
  *shared = pushed.shared;
  *static_cast<cudaStream_t*>(stream) = pushed.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(stub));
  return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void* stub, dim3 blocks, dim3 lanes, void** arguments,
                             std::size_t, cudaStream_t stream) {
  return launch(stub, blocks, lanes, arguments, stream);
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 blocks, dim3 lanes, void** arguments,
                               std::size_t, cudaStream_t stream) {
  {
    const std::lock_guard lock(runtime().mutex);
    ++runtime().work.kernels_of_nvcc;
  }
  return launch(kernel, blocks, lanes, arguments, stream);
}

// Devices and errors.

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) {
    return refuse(cudaErrorInvalidDevice);
  }
  *properties = {};
  std::strcpy(properties->name, "simulated");
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : refuse(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return guarded([] { finish_all(); });
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorInvalidDeviceFunction:
      return "cudaErrorInvalidDeviceFunction";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    default:
      return "another error";
  }
}

/// Says what the simulator found, where it found something.
const char* cudaGetErrorString(cudaError_t error) {
  thread_local std::string text;
  const std::string failure = device_failure();
  text = failure.empty() ? cudaGetErrorName(error) : failure;
  return text.c_str();
}

// Queues and events.

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(make_queue());
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  drop(queue(stream));
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return queried([&] { return is_done(queue(stream)); });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  count_wait();
  return guarded([&] { finish(queue(stream)); });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return guarded([&] { hold(queue(stream), mark(event)); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = reinterpret_cast<cudaEvent_t>(make_mark((flags & cudaEventDisableTiming) == 0));
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  drop(mark(event));
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return guarded([&] { record(mark(event), queue(stream)); });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return queried([&] { return is_done(mark(event)); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return guarded([&] { finish(mark(event)); });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  if (!is_timed(mark(begin)) || !is_timed(mark(end))) {
    return refuse(cudaErrorInvalidResourceHandle);
  }
  return queried([&] {
    if (!is_done(mark(begin)) || !is_done(mark(end))) {
      return false;
    }
    *milliseconds = static_cast<float>(1e3 * seconds_between(mark(begin), mark(end)));
    return true;
  });
}

}  // extern "C"
