// On a real device: the same tests.
#include "tests/sim/table_test.cpp"
