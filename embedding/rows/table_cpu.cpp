#include "embedding/rows/restrict_impl.hpp"
#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/staging_impl.hpp"
#include "embedding/rows/step_journal_impl.hpp"
#include "embedding/rows/stored_table_impl.hpp"
#include "embedding/rows/table_changes_impl.hpp"
#include "embedding/rows/table_impl.hpp"
#include "embedding/rows/table_set_impl.hpp"
#include "embedding/rows/table_step_impl.hpp"

namespace keyshard {

template class TableRefs<Cpu>;
template class Sightings<Cpu>;
template class Table<Cpu>;
template class TableSet<Cpu>;
template std::vector<std::int64_t> find_rows(Stream<Cpu>&, const TableRefs<Cpu>&, const TableKeys&,
                                             RowId*);
template void read_rows(Stream<Cpu>&, const TableRefs<Cpu>&, const TableKeys&, const RowId*, bool,
                        float*);
template Buffer<float, Cpu> locate_rows(Stream<Cpu>&, const TableRefs<Cpu>&, const TableKeys&,
                                        const RowId*, bool, const float**);
template std::vector<RowId> insert_missing(Stream<Cpu>&, Span<Table<Cpu>* const>, const TableKeys&,
                                           RowId*);
template void apply_gradients(Stream<Cpu>&, Span<Table<Cpu>* const>, const UpdateContext&,
                              StepJournal<Cpu>*);
template class StoreLocks<Cpu>;
template void empty_store(Table<Cpu>&);
template void stage_keys(Stream<Cpu>&, Table<Cpu>&, const std::vector<Key>&, bool);
template void stage_rows(Stream<Cpu>&, Span<Table<Cpu>* const>, const TableKeys&, bool);

template Restriction restrict_rows(Stream<Cpu>&, Communicator<Cpu>&, Table<Cpu>&, std::int64_t,
                                   std::int64_t);

}  // namespace keyshard
