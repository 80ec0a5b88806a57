// On a real device: the same tests.
#include "tests/sim/tiered_table_test.cpp"
