// On a real device: the same tests.
#include "tests/sim/primitives_test.cpp"
