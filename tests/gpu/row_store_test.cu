// On a real device: the same tests.
#include "tests/sim/row_store_test.cpp"
