#include <keyshard/collectives/thread_communicator.hpp>
#include <keyshard/embedding/rows/table.hpp>
#include <keyshard/launch/command_line.hpp>

int main(int argc, char** argv) {
  keyshard::Stream<keyshard::Cpu> stream;
  keyshard::TableOptions options;
  options.name = "users";
  options.groups = {{"factor", 4, keyshard::Constant{0.5f}, {}, keyshard::Sgd{}, {}}};
  keyshard::Table<keyshard::Cpu> table(options, {0, keyshard::kShards});
  const keyshard::Key key = 42;
  keyshard::RowId row;
  table.find(stream, {&key, 1}, &row);
  const bool works = row == keyshard::kNoRow && keyshard::make_thread_communicators(1).size() == 1;
  return works ? keyshard::run_command_line(argc, argv) : 1;
}
