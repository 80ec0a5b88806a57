// Text inside an HTML page.
#pragma once

#include <string>
#include <string_view>

#include "runtime/shown.hpp"

namespace keyshard {

/// The bytes as HTML shows them, in an element or between the quotes of an attribute: nothing in
/// them is markup. Control characters are shown as \xnn.
inline std::string html_text(std::string_view bytes) {
  std::string out;
  for (const char c : printable(bytes)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace keyshard
