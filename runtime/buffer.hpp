// Elements on a device, owned, uninitialised. Memory comes from the pool of the stream that the
// buffer is made on, and goes back to that pool in the order of the stream: a buffer may be
// destroyed while work that reads it is queued.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "runtime/portable.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

template <class T, Backend B>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;

  /// Owns `size` uninitialised elements. Throws Error{out_of_memory}.
  Buffer(Stream<B>& stream, std::int64_t size) : pool_(stream.memory()), size_(size) {
    data_ = static_cast<T*>(pool_->allocate(static_cast<std::size_t>(size) * sizeof(T), bytes_));
  }

  Buffer(Buffer&& other) noexcept { swap(other); }

  Buffer& operator=(Buffer&& other) noexcept {
    Buffer moved(std::move(other));
    swap(moved);
    return *this;
  }

  ~Buffer() {
    if (data_ != nullptr) {
      pool_->release(data_, bytes_);
    }
  }

  T* data() noexcept { return data_; }

  const T* data() const noexcept { return data_; }

  std::int64_t size() const noexcept { return size_; }

  Span<T> span() noexcept { return {data_, size_}; }

  Span<const T> span() const noexcept { return {data_, size_}; }

  bool empty() const noexcept { return size_ == 0; }

  T& operator[](std::int64_t i) noexcept requires std::same_as<B, Cpu> { return data_[i]; }

  const T& operator[](std::int64_t i) const noexcept requires std::same_as<B, Cpu> {
    return data_[i];
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(bytes_, other.bytes_);
  }

  std::shared_ptr<MemoryPool<B>> pool_;
  T* data_ = nullptr;
  std::int64_t size_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace keyshard
