// On a real device: the same tests.
#include "tests/sim/row_functors_test.cpp"
