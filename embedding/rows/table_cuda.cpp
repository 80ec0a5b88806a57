#include "embedding/rows/restrict_impl.hpp"
#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/staging_impl.hpp"
#include "embedding/rows/step_journal_impl.hpp"
#include "embedding/rows/stored_table_impl.hpp"
#include "embedding/rows/table_changes_impl.hpp"
#include "embedding/rows/table_impl.hpp"
#include "embedding/rows/table_set_impl.hpp"
#include "embedding/rows/table_step_impl.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {

template class TableRefs<Cuda>;
template class Sightings<Cuda>;
template class Table<Cuda>;
template class TableSet<Cuda>;
template std::vector<std::int64_t> find_rows(Stream<Cuda>&, const TableRefs<Cuda>&,
                                             const TableKeys&, RowId*);
template void read_rows(Stream<Cuda>&, const TableRefs<Cuda>&, const TableKeys&, const RowId*, bool,
                        float*);
template Buffer<float, Cuda> locate_rows(Stream<Cuda>&, const TableRefs<Cuda>&, const TableKeys&,
                                         const RowId*, bool, const float**);
template std::vector<RowId> insert_missing(Stream<Cuda>&, Span<Table<Cuda>* const>,
                                           const TableKeys&, RowId*);
template void apply_gradients(Stream<Cuda>&, Span<Table<Cuda>* const>, const UpdateContext&,
                              StepJournal<Cuda>*);
template class StoreLocks<Cuda>;
template void empty_store(Table<Cuda>&);
template void stage_keys(Stream<Cuda>&, Table<Cuda>&, const std::vector<Key>&, bool);
template void stage_rows(Stream<Cuda>&, Span<Table<Cuda>* const>, const TableKeys&, bool);

template Restriction restrict_rows(Stream<Cuda>&, Communicator<Cuda>&, Table<Cuda>&, std::int64_t,
                                   std::int64_t);

}  // namespace keyshard
