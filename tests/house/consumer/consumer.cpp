#include "collectives/thread_communicator.hpp"
#include "embedding/table.hpp"

int main() {
  keyshard::Stream<keyshard::Cpu> stream;
  keyshard::TableOptions options;
  options.name = "users";
  options.groups = {{"factor", 4, keyshard::Constant{0.5f}, {}, keyshard::Sgd{}, {}}};
  keyshard::Table<keyshard::Cpu> table(options, {0, keyshard::kShards});
  const keyshard::Key key = 42;
  keyshard::RowId row;
  table.find(stream, {&key, 1}, &row);
  return row == keyshard::kNoRow && keyshard::make_thread_communicators(1).front()->size() == 1 ? 0
                                                                                                : 1;
}
