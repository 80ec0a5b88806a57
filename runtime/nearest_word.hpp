// Which legal word a wrong one was meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keyshard {

/// The legal word with the least edit distance, or empty if all are further than a third of the
/// word (at least 2).
std::string nearest_word(std::string_view word, const std::vector<std::string>& legal);

/// The end of a message about a wrong word: "; did you mean \"NEAREST\"?", or empty where
/// nearest_word is.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& legal);

}  // namespace keyshard
