// Texts that ranks tell each other: paths, messages, configurations.
#pragma once

#include <string>
#include <vector>

#include "collectives/communicator.hpp"

namespace keyshard {

/// Returns the text of rank 0, on every rank. Collective.
std::string broadcast_text(Communicator<Cpu>& communicator, std::string text);

/// Returns the texts of all ranks, by rank, on every rank. Collective.
std::vector<std::string> gather_texts(Communicator<Cpu>& communicator, const std::string& mine);

}  // namespace keyshard
