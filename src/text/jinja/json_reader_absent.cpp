// Owns: what the reader of JSON says in a build without nlohmann-json, as strata-check may be. Knows no JSON.
#include "text/jinja/json.h"

namespace strata::text::jinja {

Value parse_json(Machine& machine, std::string_view, std::string_view) {
  return machine.stop(ErrorCode::unsupported, "this strata was built without nlohmann-json, which reads conversations");
}

}  // namespace strata::text::jinja
