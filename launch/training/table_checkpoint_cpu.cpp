#include "launch/training/table_checkpoint_impl.hpp"

namespace keyshard {

template std::string save_tables(const std::string&, TableSet<Cpu>&, Stream<Cpu>&,
                                 const TableSaveOptions&);
template TableLoad load_tables(const std::string&, TableSet<Cpu>&, Stream<Cpu>&);
template std::vector<TableSource> table_sources(const TableSet<Cpu>&);
template void check_tables(const std::string&, const Manifest&, const TableSet<Cpu>&);
template FileCheck file_check_of(const TableSet<Cpu>&);
template void load_rows(CheckpointReader&, TableSet<Cpu>&, Stream<Cpu>&);

}  // namespace keyshard
