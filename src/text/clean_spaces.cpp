// Owns: the three clean-up passes.
#include "text/clean_spaces.h"

namespace strata::text {

namespace {

/// Copies `in`, leaving out each space for which `drop(rest after the space)` holds.
template <class Drop>
std::string without_spaces(std::string_view in, Drop drop) {
  std::string out;
  out.reserve(in.size());
  for (std::size_t i = 0; i < in.size(); ++i)
    if (in[i] != ' ' || !drop(in.substr(i + 1))) out += in[i];
  return out;
}

std::string lone_apostrophes_joined(std::string_view in) {
  std::string out;
  out.reserve(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in.substr(i, 3) == " ' ") {
      out += '\'';
      i += 2;
    } else {
      out += in[i];
    }
  }
  return out;
}

}  // namespace

std::string clean_spaces(std::string_view text) {
  std::string once = without_spaces(text, [](std::string_view rest) {
    return !rest.empty() && std::string_view("?!.,").find(rest[0]) != std::string_view::npos;
  });
  return without_spaces(lone_apostrophes_joined(once), [](std::string_view rest) {
    return rest.starts_with("'s") || rest.starts_with("'m") || rest.starts_with("'re") || rest.starts_with("'ve");
  });
}

}  // namespace strata::text
