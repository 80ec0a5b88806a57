// On a real device: the same tests.
#include "tests/sim/dedup_test.cpp"
