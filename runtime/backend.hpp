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

/// One CUDA device. A program without the CUDA toolkit compiles what names it and does not link it.
struct Cuda {
  static constexpr const char* kName = "cuda";
};

template <class B>
concept Backend = std::same_as<B, Cpu> || std::same_as<B, Cuda>;

}  // namespace keyshard
