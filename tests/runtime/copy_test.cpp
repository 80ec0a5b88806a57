#include "runtime/copy.hpp"

#include <array>

#include <gtest/gtest.h>

#include "runtime/event.hpp"

namespace keyshard {
namespace {

TEST(Copy, BringsElementsToADeviceAndBack) {
  Stream<Cpu> stream;
  const std::vector<std::int32_t> host{3, 1, -4, 1, 5};
  Buffer<std::int32_t, Cpu> device = to_device(stream, host);
  Buffer<std::int32_t, Cpu> other(stream, 5);
  copy(stream, device.data(), 5, other.data());
  EXPECT_EQ(to_host(stream, other), host);
  EXPECT_EQ(value_at(stream, other.data() + 2), -4);
  EXPECT_EQ(to_host(stream, device.span().subspan(1, 2)), (std::vector<std::int32_t>{1, -4}));
}

TEST(Copy, OfNothingTakesNullPointers) {
  Stream<Cpu> stream;
  const std::vector<float> nothing;
  EXPECT_EQ(to_device(stream, nothing).size(), 0);
  copy<float>(stream, nullptr, 0, nullptr);
  EXPECT_TRUE(to_host(stream, Buffer<float, Cpu>()).empty());
}

TEST(Copy, ACpuLooksAtHostMemoryWithoutACopy) {
  Stream<Cpu> stream;
  const std::array<float, 3> host{1, 2, 3};
  Buffer<float, Cpu> storage;
  EXPECT_EQ(device_view(stream, Span<const float>(host), storage), host.data());
  EXPECT_TRUE(storage.empty());
}

TEST(Event, OnACpuWhatWasRecordedIsDone) {
  Stream<Cpu> stream, other;
  Event<Cpu> event;
  event.record(stream);
  event.hold(other);
  event.wait();
}

}  // namespace
}  // namespace keyshard
