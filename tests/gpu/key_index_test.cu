// On a real device: the same tests.
#include "tests/sim/key_index_test.cpp"
