// How the slices of a rank become tasks: on a CPU a task is one slice, which a free thread takes;
// on a device there is one task, all slices. The dense side differs between devices only here, in
// the products (gemm.hpp), and in Workspace::row_scratch.
#pragma once

#include <concepts>
#include <cstdint>
#include <vector>

#include "launch/training/models/workspace.hpp"
#include "runtime/runs.hpp"
#include "runtime/serial.hpp"

namespace keyshard {

/// The scratch of tasks that run at the same time: of each thread on a CPU, else of the one task.
template <Backend B>
std::vector<Workspace<B>> make_workspaces(Stream<B>& stream) {
  int tasks = 1;
  if constexpr (std::same_as<B, Cpu>) {
    tasks = stream.threads().size();
  }
  std::vector<Workspace<B>> workspaces;
  for (int task = 0; task < tasks; ++task) {
    workspaces.emplace_back(stream);
  }
  return workspaces;
}

/// Calls body(slices, queue, workspace) for ranges that cover [0, slices), where `queue` is a
/// TaskQueue of the device. `workspaces` are those of make_workspaces.
template <class Body>
void for_slice_groups(Stream<Cpu>& stream, std::vector<Workspace<Cpu>>& workspaces,
                      std::int64_t slices, const Body& body) {
  stream.threads().for_tasks(slices, [&](std::int64_t slice, int thread) {
    Serial queue;
    body(Range{slice, slice + 1}, queue, workspaces[static_cast<std::size_t>(thread)]);
  });
}

template <class Body>
void for_slice_groups(Stream<Cuda>& stream, std::vector<Workspace<Cuda>>& workspaces,
                      std::int64_t slices, const Body& body) {
  body(Range{0, slices}, stream, workspaces.front());
}

}  // namespace keyshard
