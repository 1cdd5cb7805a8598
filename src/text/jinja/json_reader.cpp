// Owns: JSON text to values, out of the events of nlohmann-json's parser. Knows nothing of that library's documents.
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "text/jinja/json.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

namespace {

/// The longest role that counts as structure.
constexpr std::size_t max_word = 64;

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= max_word && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

/// A pointer into the text that tells how far the parser has read: its events do not.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  std::size_t* read;

  const char& operator*() const { return *at; }
  Cursor& operator++() { return ++at, ++*read, *this; }
  bool operator==(const Cursor& other) const { return at == other.at; }
};

/// Takes the events; their names and arguments are the library's. False ends the parsing.
class Builder {
 public:
  Builder(Machine& machine, std::string_view structural_key) : machine_(machine), structural_key_(structural_key) {}

  Value read(std::string_view text) {
    const std::size_t zero = text.find('\0');  // to the parser, the end of the text
    if (zero != std::string_view::npos) return machine_.fail("JSON, byte ", zero, ": a zero byte");
    if (!machine_.spend_bytes(text.size())) return {};
    const char *begin = text.data(), *end = begin + text.size();
    nlohmann::json::sax_parse(Cursor{begin, &read_}, Cursor{end, &read_}, this);
    return machine_.failed() ? Value() : std::move(root_);
  }

  bool null() { return add(Value::none()); }
  bool boolean(bool value) { return add(Value::of(value)); }
  bool number_integer(std::int64_t value) { return add(Value::of(value)); }
  /// Integers beyond 64 bits become floats, as most readers of JSON make them; those beyond 2^64 come as floats.
  bool number_unsigned(std::uint64_t value) {
    return add(std::in_range<std::int64_t>(value) ? Value::of(static_cast<std::int64_t>(value))
                                                  : Value::of(static_cast<double>(value)));
  }
  bool number_float(double value, const std::string&) { return add(Value::of(value)); }
  bool string(const std::string& bytes) {
    const bool structural = !open_.empty() && open_.back().key.is_string() && !structural_key_.empty() &&
                            open_.back().key.string().bytes == structural_key_ && is_word(bytes);
    return add(text(bytes, !structural));
  }
  bool binary(const nlohmann::json::binary_t&) { return false; }  // JSON has none

  bool start_array(std::size_t) {
    if (open_.size() >= max_container_depth) return fail("values nest deeper than ", max_container_depth);
    open_.emplace_back();
    return true;
  }
  bool end_array() { return close(machine_.list(std::move(open_.back().items))); }
  bool start_object(std::size_t count) { return start_array(count); }
  bool key(const std::string& bytes) {
    open_.back().key = text(bytes, true);
    return !machine_.failed();
  }
  bool end_object() { return close(machine_.dict(std::move(open_.back().dict))); }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) {
    std::string_view message = error.what();  // "[name and number] reason; last read: '...'", which may be long
    message.remove_prefix(std::min(message.find(' ') + 1, message.size()));
    return fail(message.substr(0, std::min<std::size_t>(message.find("; last read"), 160)));
  }

 private:
  /// Of an object the members and the key whose value comes next, of an array the elements.
  struct Open {
    Dict dict;
    Value key;
    std::vector<Value> items;
  };

  template <class... Parts>
  bool fail(const Parts&... parts) {
    machine_.fail("JSON, byte ", read_, ": ", parts...);
    return false;
  }
  Value text(std::string_view bytes, bool content) {
    TextBuilder out(machine_);
    out.append(bytes, content);
    return out.finish();
  }
  bool add(Value value) {
    if (!machine_.spend(1)) return false;
    if (open_.empty()) root_ = std::move(value);
    else if (Open& to = open_.back(); !to.key.is_string()) to.items.push_back(std::move(value));
    else machine_.set(to.dict, std::exchange(to.key, {}), std::move(value));
    return !machine_.failed();
  }
  bool close(Value container) {
    open_.pop_back();
    return add(std::move(container));
  }

  Machine& machine_;
  std::string_view structural_key_;
  std::size_t read_ = 0;
  std::vector<Open> open_;
  Value root_;
};

}  // namespace

Value parse_json(Machine& machine, std::string_view text, std::string_view structural_key) {
  return Builder(machine, structural_key).read(text);
}

}  // namespace strata::text::jinja
