// Owns: values to JSON text. Source: The Python Standard Library, json.dumps. nlohmann-json's
// writer cannot stand in: its separators are fixed, its 1e15 and NaN are not Python's, and it drops the marks of content.
#include "text/jinja/json.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/utf8.h"

namespace strata::text::jinja {

namespace {

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

Value dump_json(Machine& machine, const Value& value, const JsonLayout& layout) {
  return Writer(machine, layout).finish(value);
}

}  // namespace strata::text::jinja
