#include "collectives/texts.hpp"

namespace keyshard {

std::string broadcast_text(Communicator<Cpu>& communicator, std::string text) {
  auto bytes = static_cast<std::int64_t>(text.size());
  communicator.broadcast(std::as_writable_bytes(Span<std::int64_t>(&bytes, 1)), 0);
  text.resize(static_cast<std::size_t>(bytes));
  communicator.broadcast(std::as_writable_bytes(Span<char>(text)), 0);
  return text;
}

std::vector<std::string> gather_texts(Communicator<Cpu>& communicator, const std::string& mine) {
  std::vector<std::string> texts;
  for (const std::vector<char>& letters : communicator.gather_lists(Span<const char>(mine))) {
    texts.emplace_back(letters.begin(), letters.end());
  }
  return texts;
}

}  // namespace keyshard
