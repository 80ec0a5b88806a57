// The device a job runs on, as a type. `Buffer`, `Stream`, `Table` and `Trainer` are templates on
// it, and the program chooses it once, so that a host pointer cannot reach a kernel: it has the
// wrong type.
#pragma once

#include <concepts>

namespace keyshard {

/// Host threads and host memory.
struct Cpu {
  static constexpr const char* kName = "cpu";
};

/// One CUDA device. Not built in this version: shared bodies compile for it, but its primitives
/// (memory, stream, copies, ...) are only declared, so a program that uses it does not link.
struct Cuda {
  static constexpr const char* kName = "cuda";
};

template <class B>
concept Backend = std::same_as<B, Cpu> || std::same_as<B, Cuda>;

}  // namespace keyshard
