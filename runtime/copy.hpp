// Copies between host and device, and inside a device. They are ordered on a stream. Pageable host
// memory that is read may go when the call returns, for the driver has staged it (CUDA, "API
// synchronization behavior"); pinned memory must stand until the stream has come to the copy. What
// is written to host memory is there when the call returns.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "runtime/buffer.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// Which memory a copy reads and writes.
enum class CopyKind { host_to_device, device_to_host, device_to_device };

/// Copies `bytes` bytes. The other functions of this file are made of this one.
inline void copy_bytes(Stream<Cpu>& /*stream*/, const void* from, std::size_t bytes, void* to,
                       CopyKind /*kind*/) {
  if (bytes > 0) {
    std::memcpy(to, from, bytes);
  }
}

void copy_bytes(Stream<Cuda>& stream, const void* from, std::size_t bytes, void* to, CopyKind kind);

/// Sets `bytes` bytes on the device to 0.
inline void zero_bytes(Stream<Cpu>& /*stream*/, void* to, std::size_t bytes) {
  if (bytes > 0) {
    std::memset(to, 0, bytes);
  }
}

void zero_bytes(Stream<Cuda>& stream, void* to, std::size_t bytes);

/// to [n] = 0, on the device.
template <class T, Backend B>
void fill_zero(Stream<B>& stream, T* to, std::int64_t n) {
  static_assert(std::is_arithmetic_v<T>);
  zero_bytes(stream, to, static_cast<std::size_t>(n) * sizeof(T));
}

template <class T, Backend B>
void copy_as(Stream<B>& stream, const T* from, std::int64_t n, T* to, CopyKind kind) {
  static_assert(std::is_trivially_copyable_v<T>);
  copy_bytes(stream, from, static_cast<std::size_t>(n) * sizeof(T), to, kind);
}

/// to [n] = from [n], both on the device.
template <class T, Backend B>
void copy(Stream<B>& stream, const T* from, std::int64_t n, T* to) {
  copy_as(stream, from, n, to, CopyKind::device_to_device);
}

template <class T, Backend B>
void copy_to_device(Stream<B>& stream, const T* host, std::int64_t n, T* device) {
  copy_as(stream, host, n, device, CopyKind::host_to_device);
}

/// Waits.
template <class T, Backend B>
void copy_to_host(Stream<B>& stream, const T* device, std::int64_t n, T* host) {
  copy_as(stream, device, n, host, CopyKind::device_to_host);
  stream.wait();
}

/// A buffer on the device with the elements of `host`.
template <class Range, Backend B>
auto to_device(Stream<B>& stream, const Range& host) {
  using T = std::remove_cv_t<std::remove_pointer_t<decltype(std::data(host))>>;
  Buffer<T, B> device(stream, static_cast<std::int64_t>(std::size(host)));
  copy_to_device(stream, std::data(host), device.size(), device.data());
  return device;
}

/// The elements of a device, on the host. Waits.
template <class T, Backend B>
std::vector<std::remove_const_t<T>> to_host(Stream<B>& stream, Span<T> device) {
  std::vector<std::remove_const_t<T>> host(static_cast<std::size_t>(device.size()));
  copy_to_host<std::remove_const_t<T>>(stream, device.data(), device.size(), host.data());
  return host;
}

template <class T, Backend B>
std::vector<T> to_host(Stream<B>& stream, const Buffer<T, B>& device) {
  return to_host(stream, device.span());
}

/// One element of a device. Waits.
template <class T, Backend B>
T value_at(Stream<B>& stream, const T* device) {
  T value;
  copy_to_host(stream, device, 1, &value);
  return value;
}

/// The elements of `host` where functors of the stream's device can read them: `host` itself on a
/// CPU, else a copy in `storage`. Good as long as both stand.
template <class T>
const T* device_view(Stream<Cpu>& /*stream*/, Span<const T> host, Buffer<T, Cpu>& /*storage*/) {
  return host.data();
}

template <class T>
const T* device_view(Stream<Cuda>& stream, Span<const T> host, Buffer<T, Cuda>& storage) {
  storage = to_device(stream, host);
  return storage.data();
}

}  // namespace keyshard
