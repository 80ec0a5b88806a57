// The queues of the simulated device and the marks (events) in them. An operation runs when a host
// call has to wait, not before, and only until that wait is over; a thread drives the queues where
// no host call has for a while, since a device goes on by itself. Operations of a process run one
// at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/sim/options.hpp"

namespace keyshard::sim {

struct Queue;
struct Mark;

Queue* make_queue();
/// The queue goes when its work is done.
void drop(Queue* queue);
/// A mark that knows when it was passed, where it is timed.
Mark* make_mark(bool timed = false);
void drop(Mark* mark);

/// Gives a queue an operation, which returns true when it is done; false where it must be asked
/// again, as an exchange that waits for a peer.
void enqueue(Queue* queue, std::function<bool()> operation);
void record(Mark* mark, Queue* queue);
/// Later operations of `queue` wait for what was recorded last.
void hold(Queue* queue, Mark* mark);

// These run work until what they wait for is done. They throw Failure where an operation fails or
// where nothing moves for long.
void finish(Queue* queue);
void finish(Mark* mark);
void finish_all();

bool is_done(Queue* queue);
bool is_done(Mark* mark);

/// Whether a mark is timed and was recorded.
bool is_timed(Mark* mark);
/// Seconds from the passing of one mark to that of the other.
double seconds_between(Mark* begin, Mark* end);

/// Operations that wait in any queue.
std::int64_t queued();

/// Operations that have run, for a test that looks whether work was late.
std::int64_t operations();

}  // namespace keyshard::sim
