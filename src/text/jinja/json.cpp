// Owns: reading and writing JSON. Source: RFC 8259; The Python Standard Library, json.dumps.
#include "text/jinja/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/utf8.h"

namespace strata::text::jinja {

namespace {

/// The longest role that counts as structure.
constexpr std::size_t max_word = 64;

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= max_word && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

class Reader {
 public:
  Reader(Machine& machine, std::string_view text, std::string_view structural_key)
      : machine_(machine), text_(text), structural_key_(structural_key) {}

  Value read() {
    Value out = value(false);
    skip_space();
    if (!machine_.failed() && at_ < text_.size()) return fail("more text follows the JSON value");
    return out;
  }

 private:
  template <class... Parts>
  Value fail(const Parts&... parts) {
    return machine_.fail("JSON, byte ", at_, ": ", parts...);
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  /// `structural`: a plain word is part of the prompt's structure.
  Value value(bool structural) {
    skip_space();
    if (!machine_.spend(1)) return {};
    if (at_ == text_.size()) return fail("the text ends where a value should be");
    switch (text_[at_]) {
      case '{': return object();
      case '[': return array();
      case '"': {
        std::string bytes;
        if (!string(bytes)) return {};
        TextBuilder out(machine_);
        out.append(bytes, !(structural && is_word(bytes)));
        return out.finish();
      }
      default: break;
    }
    if (take_word("true")) return Value::of(true);
    if (take_word("false")) return Value::of(false);
    if (take_word("null")) return Value::none();
    return number();
  }

  Value object() {
    if (++depth_ > max_container_depth) return fail("values nest deeper than ", max_container_depth);
    ++at_;
    Dict out;
    if (!take('}')) {
      do {
        skip_space();
        std::string key;
        if (at_ == text_.size() || text_[at_] != '"') return fail("a name in quotes should stand here");
        if (!string(key)) return {};
        if (!take(':')) return fail("':' should stand here");
        Value item = value(!structural_key_.empty() && key == structural_key_);
        TextBuilder name(machine_);
        name.append(key, true);
        if (machine_.failed() || !machine_.set(out, name.finish(), std::move(item))) return {};
      } while (take(','));
      if (!take('}')) return fail("',' or '}' should stand here");
    }
    --depth_;
    return machine_.dict(std::move(out));
  }

  Value array() {
    if (++depth_ > max_container_depth) return fail("values nest deeper than ", max_container_depth);
    ++at_;
    std::vector<Value> items;
    if (!take(']')) {
      do {
        items.push_back(value(false));
        if (machine_.failed()) return {};
      } while (take(','));
      if (!take(']')) return fail("',' or ']' should stand here");
    }
    --depth_;
    return machine_.list(std::move(items));
  }

  Value number() {
    const std::size_t begin = at_;
    const auto digits = [this] {
      const std::size_t first = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      return at_ > first;
    };
    if (text_[at_] == '-') ++at_;
    const std::size_t first = at_;
    if (!digits()) return at_ = begin, fail("no value begins like this");
    if (text_[first] == '0' && at_ - first > 1) return at_ = begin, fail("a number begins with 0");
    bool whole = true;
    if (at_ < text_.size() && text_[at_] == '.') {
      whole = false, ++at_;
      if (!digits()) return fail("a digit should stand here");
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      whole = false, ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      if (!digits()) return fail("a digit should stand here");
    }
    const char *from = text_.data() + begin, *to = text_.data() + at_;
    std::int64_t integer = 0;
    if (whole && std::from_chars(from, to, integer).ec == std::errc()) return Value::of(integer);
    // Integers beyond 64 bits become floats, as most readers of JSON make them.
    double real = 0;
    if (std::from_chars(from, to, real).ec != std::errc())  // out of range: zero or infinity
      real = std::string_view(from, static_cast<std::size_t>(to - from)).find("e-") != std::string_view::npos
                 ? 0.0
                 : (*from == '-' ? -INFINITY : INFINITY);
    return Value::of(real);
  }

  bool hex4(char32_t& out) {
    if (text_.size() - at_ < 4) return false;
    std::uint32_t code = 0;
    if (std::from_chars(text_.data() + at_, text_.data() + at_ + 4, code, 16).ptr != text_.data() + at_ + 4)
      return false;
    at_ += 4;
    out = code;
    return true;
  }

  bool escape(std::string& out) {
    constexpr std::string_view names = "\"\\/bfnrt", bytes = "\"\\/\b\f\n\r\t";
    if (at_ == text_.size()) return false;
    const char name = text_[at_++];
    if (name != 'u') {
      const std::size_t index = names.find(name);
      if (index == std::string_view::npos) return false;
      out += bytes[index];
      return true;
    }
    char32_t code = 0, low = 0;
    if (!hex4(code)) return false;
    if (code >= 0xD800 && code < 0xDC00) {
      if (!take_word("\\u") || !hex4(low) || low < 0xDC00 || low > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      return false;
    }
    append_utf8(out, code);
    return true;
  }

  /// At a quote.
  bool string(std::string& out) {
    const std::size_t begin = ++at_;
    for (;;) {
      const std::size_t stop = text_.find_first_of("\"\\", at_);
      if (stop == std::string_view::npos) return fail("a string has no end"), false;
      const std::string_view plain = text_.substr(at_, stop - at_);
      if (std::any_of(plain.begin(), plain.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
        return fail("a string holds a control character that is not escaped"), false;
      if (!machine_.spend_bytes(plain.size())) return false;
      out += plain;
      at_ = stop + 1;
      if (text_[stop] == '"') break;
      if (!escape(out)) return fail("a string holds an escape that is none, or half a surrogate pair"), false;
    }
    if (!valid_utf8(out)) return at_ = begin, fail("a string is not UTF-8"), false;
    return true;
  }

  Machine& machine_;
  std::string_view text_, structural_key_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

class Writer {
 public:
  Writer(Machine& machine, const JsonLayout& layout) : machine_(machine), layout_(layout), out_(machine) {}

  Value finish(const Value& value) {
    write(value);
    return out_.finish();
  }

 private:
  void put(std::string_view bytes) { out_.append(bytes, false); }

  void write(const Value& value) {
    if (!machine_.spend(1)) return;
    if (value.is_none()) return put("null");
    if (value.is_bool()) return put(value.boolean() ? "true" : "false");
    if (value.is_int()) return put(str(value.integer()));
    if (value.is_float()) return put(real(value.real()));
    if (value.is_string()) return text(value.string());
    if (value.is_dict()) return object(value.dict());
    if (value.is_sequence()) {
      const SequenceType type = value.sequence().type;
      if (type == SequenceType::list || type == SequenceType::tuple || type == SequenceType::group)
        return array(value.sequence());
    }
    machine_.fail("Object of type ", value.type_name(), " is not JSON serializable", value.is_undefined() ? " (" : "",
                  value.is_undefined() ? value.hint() : "", value.is_undefined() ? ")" : "");
  }

  static std::string real(double value) {
    return std::isnan(value) ? "NaN" : std::isinf(value) ? (value < 0 ? "-Infinity" : "Infinity") : float_text(value);
  }

  void text(const String& value) {
    put("\"");
    Value escaped = map_characters(machine_, value, [this](char32_t c, auto out) {
      std::string bytes;
      switch (c) {
        case '"': return out("\\\"");
        case '\\': return out("\\\\");
        case '\n': return out("\\n");
        case '\r': return out("\\r");
        case '\t': return out("\\t");
        case '\b': return out("\\b");
        case '\f': return out("\\f");
        default: break;
      }
      if (c < 0x20 || (layout_.ensure_ascii && c > 0x7E)) {
        if (c > 0xFFFF) unit(bytes, 0xD800 + ((c - 0x10000) >> 10)), unit(bytes, 0xDC00 + (c & 0x3FF));
        else unit(bytes, c);
      } else {
        append_utf8(bytes, c);
      }
      out(bytes);
    });
    if (!machine_.failed()) out_.append(escaped.string());
    put("\"");
  }

  static void unit(std::string& out, char32_t c) {
    constexpr char digits[] = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += digits[c >> shift & 15];
  }

  void line() {
    if (!layout_.lines) return;
    put("\n");
    for (int i = 0; i < depth_; ++i) out_.append(layout_.indent.string());
  }

  void array(const Sequence& sequence) {
    if (sequence.items.empty()) return put("[]");
    put("[");
    ++depth_;
    for (std::size_t i = 0; i < sequence.items.size() && !machine_.failed(); ++i) {
      if (i > 0) out_.append(layout_.item_separator.string());
      line();
      write(sequence.items[i]);
    }
    --depth_;
    line();
    put("]");
  }

  void object(const Dict& dict) {
    if (dict.entries.empty()) return put("{}");
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (layout_.sort_keys) {
      if (!machine_.spend(entries.size())) return;
      if (std::any_of(entries.begin(), entries.end(), [](auto* e) { return !e->first.is_string(); }))
        return void(machine_.fail("tojson: only keys that are strings can be sorted"));
      std::sort(entries.begin(), entries.end(),
                [](auto* a, auto* b) { return a->first.string().bytes < b->first.string().bytes; });
    }
    put("{");
    ++depth_;
    for (std::size_t i = 0; i < entries.size() && !machine_.failed(); ++i) {
      if (i > 0) out_.append(layout_.item_separator.string());
      line();
      key(entries[i]->first);
      out_.append(layout_.key_separator.string());
      write(entries[i]->second);
    }
    --depth_;
    line();
    put("}");
  }

  void key(const Value& value) {
    if (value.is_string()) return text(value.string());
    if (value.is_none()) return put("\"null\"");
    if (value.is_bool()) return put(value.boolean() ? "\"true\"" : "\"false\"");
    if (value.is_int()) return put(str('"', value.integer(), '"'));
    if (value.is_float()) return put(str('"', real(value.real()), '"'));
    machine_.fail("keys must be str, int, float, bool or None, not ", value.type_name());
  }

  Machine& machine_;
  const JsonLayout& layout_;
  TextBuilder out_;
  int depth_ = 0;
};

}  // namespace

Value parse_json(Machine& machine, std::string_view text, std::string_view structural_key) {
  return Reader(machine, text, structural_key).read();
}

Value dump_json(Machine& machine, const Value& value, const JsonLayout& layout) {
  return Writer(machine, layout).finish(value);
}

}  // namespace strata::text::jinja
