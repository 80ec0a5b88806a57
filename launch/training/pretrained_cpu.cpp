#include "launch/training/pretrained_impl.hpp"

namespace keyshard {

template std::int64_t load_pretrained(const Pretrained&, TableSet<Cpu>&, Stream<Cpu>&);

}  // namespace keyshard
