// Owns: the filters over sequences and dicts. Source: the Jinja documentation, "List of Builtin Filters".
#include <algorithm>
#include <charconv>
#include <set>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

namespace {

/// Reads an attribute such as "address.city", "items.0" or 3 of a value; nothing given reads the value itself.
class Getter {
 public:
  Getter(Machine& machine, const Value* attribute, bool ignore_case, const Value* fallback = nullptr)
      : machine_(machine), ignore_case_(ignore_case), fallback_(fallback) {
    if (attribute == nullptr || attribute->is_none()) return;
    if (!attribute->is_string()) {
      parts_.push_back(*attribute);
      return;
    }
    std::string_view rest = attribute->string().bytes;
    for (bool more = true; more;) {
      const std::size_t end = std::min(rest.find('.'), rest.size());
      const std::string_view part = rest.substr(0, end);
      std::int64_t index = 0;
      const bool number = !part.empty() && std::from_chars(part.data(), part.data() + part.size(), index).ptr ==
                                               part.data() + part.size();
      parts_.push_back(number && part[0] != '-' ? Value::of(index) : machine.text(part));
      more = end < rest.size();
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }

  Value operator()(const Value& item) const {
    Value out = item;
    for (const Value& part : parts_) {
      out = machine_.item(out, part);
      if (out.is_undefined() && fallback_ && !machine_.failed()) out = *fallback_;
    }
    return ignore_case_ && out.is_string() ? to_lower(machine_, out.string()) : out;
  }

 private:
  Machine& machine_;
  bool ignore_case_;
  const Value* fallback_;
  std::vector<Value> parts_;
};

/// The items in the order of their keys, equal ones as they were, also in reverse.
std::vector<Value> sorted(Machine& machine, const std::vector<Value>& items, const std::vector<Value>& keys,
                          bool reverse) {
  std::vector<std::size_t> order_of(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) order_of[i] = i;
  std::stable_sort(order_of.begin(), order_of.end(), [&](std::size_t a, std::size_t b) {
    return std::is_lt(reverse ? order(machine, keys[b], keys[a]) : order(machine, keys[a], keys[b]));
  });
  std::vector<Value> out;
  for (std::size_t i : order_of) out.push_back(items[i]);
  return out;
}

Value filter_sort(Machine& machine, const Value& input, const Bound& arguments) {
  const bool ignore_case = !arguments.truthy(1);
  // "age,name" sorts by several attributes.
  std::vector<Getter> getters;
  if (arguments.has(2) && arguments[2].is_string()) {
    std::string_view rest = arguments[2].string().bytes;
    for (bool more = true; more;) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      const Value attribute = machine.text(rest.substr(0, end));
      getters.emplace_back(machine, &attribute, ignore_case);
      more = end < rest.size();
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  } else {
    getters.emplace_back(machine, arguments.values[2], ignore_case);
  }
  const std::vector<Value> items = machine.elements(input);
  std::vector<Value> keys;
  for (const Value& item : items) {
    std::vector<Value> key;
    for (const Getter& get : getters) key.push_back(get(item));
    keys.push_back(key.size() == 1 ? key[0] : machine.list(std::move(key)));
    if (machine.failed()) return {};
  }
  return machine.list(sorted(machine, items, keys, arguments.truthy(0)));
}

Value filter_dictsort(Machine& machine, const Value& input, const Bound& arguments) {
  if (!input.is_dict())
    return machine.fail(input.is_undefined() ? std::string(input.hint())
                                             : str("dictsort: a dict is required, not ", input.type_name()));
  std::string_view by = "key";
  if (arguments.values[1]) {
    const String* given = text_argument(machine, arguments, 1, "dictsort");
    by = given ? std::string_view(given->bytes) : by;
  }
  if (by != "key" && by != "value") return machine.fail("dictsort: sort by \"key\" or \"value\"");
  std::vector<Value> items, keys;
  const Getter plain(machine, nullptr, !arguments.truthy(0));
  for (const auto& [key, value] : input.dict().entries) {
    items.push_back(machine.tuple({key, value}));
    keys.push_back(plain(by == "key" ? key : value));
    if (machine.failed()) return {};
  }
  return machine.list(sorted(machine, items, keys, arguments.truthy(2)));
}

Value filter_groupby(Machine& machine, const Value& input, const Bound& arguments) {
  const bool ignore_case = !arguments.truthy(2);
  const Getter get(machine, arguments.values[0], ignore_case, arguments.values[1]);
  const Getter as_written(machine, arguments.values[0], false, arguments.values[1]);
  std::vector<Value> items = machine.elements(input), keys;
  for (const Value& item : items) keys.push_back(get(item));
  items = sorted(machine, items, keys, false);
  std::vector<Value> out;
  for (std::size_t begin = 0; begin < items.size() && !machine.failed();) {
    std::size_t end = begin + 1;
    const Value key = get(items[begin]);
    while (end < items.size() && equal(machine, key, get(items[end]))) ++end;
    std::vector<Value> group(items.begin() + static_cast<std::ptrdiff_t>(begin),
                             items.begin() + static_cast<std::ptrdiff_t>(end));
    out.push_back(machine.list({as_written(items[begin]), machine.list(std::move(group))}, SequenceType::group));
    begin = end;
  }
  return machine.list(std::move(out));
}

Value filter_unique(Machine& machine, const Value& input, const Bound& arguments) {
  const Getter get(machine, arguments.values[1], !arguments.truthy(0));
  std::set<std::string> seen;
  std::vector<Value> out;
  for (const Value& item : machine.elements(input)) {
    auto key = hash_key(get(item));
    if (machine.failed()) return {};
    if (!key) return machine.fail("unique: unhashable type: '", item.type_name(), "'");
    if (!machine.spend(key->size() / 32 + 1)) return {};
    if (seen.insert(std::move(*key)).second) out.push_back(item);
  }
  return machine.list(std::move(out), SequenceType::iterator);
}

Value extreme(Machine& machine, const Value& input, const Bound& arguments, bool largest) {
  const Getter get(machine, arguments.values[1], !arguments.truthy(0));
  const std::vector<Value> items = machine.elements(input);
  if (items.empty()) return machine.undefined("No aggregated item, sequence was empty.");
  std::size_t best = 0;
  Value best_key = get(items[0]);
  for (std::size_t i = 1; i < items.size() && !machine.failed(); ++i) {
    Value key = get(items[i]);
    const auto compared = order(machine, key, best_key);
    if (largest ? std::is_gt(compared) : std::is_lt(compared)) best = i, best_key = std::move(key);
  }
  return items[best];
}
Value filter_min(Machine& machine, const Value& input, const Bound& arguments) {
  return extreme(machine, input, arguments, false);
}
Value filter_max(Machine& machine, const Value& input, const Bound& arguments) {
  return extreme(machine, input, arguments, true);
}

Value filter_sum(Machine& machine, const Value& input, const Bound& arguments) {
  const Getter get(machine, arguments.values[0], false);
  Value total = arguments.values[1] ? arguments[1] : Value::of(std::int64_t{0});
  if (total.is_string()) return machine.fail("sum: strings are joined with join");
  for (const Value& item : machine.elements(input)) {
    total = calculate(machine, Operator::add, total, get(item));
    if (machine.failed()) return {};
  }
  return total;
}

Value filter_join(Machine& machine, const Value& input, const Bound& arguments) {
  const Getter get(machine, arguments.values[1], false);
  const Value separator = arguments.values[0] ? print(machine, arguments[0]) : constant_text("");
  TextBuilder out(machine);
  bool first = true;
  for (const Value& item : machine.elements(input)) {
    if (machine.failed()) return {};
    if (!std::exchange(first, false)) out.append(separator.string());
    print(machine, get(item), out);
  }
  return out.finish();
}

Value filter_length(Machine& machine, const Value& input, const Bound&) {
  if (auto length = machine.length(input)) return Value::of(*length);
  return machine.fail("object of type '", input.type_name(), "' has no len()");
}

Value filter_first(Machine& machine, const Value& input, const Bound&) {
  if (input.is_string() && !input.string().bytes.empty())
    return substring(machine, input.string(), 0, character_bytes(input.string().bytes[0]));
  if (input.is_sequence() && input.sequence().type == SequenceType::iterator) {
    Sequence& iterator = input.sequence();
    if (iterator.next < iterator.items.size()) return iterator.items[iterator.next++];
  } else {
    const std::vector<Value> items = machine.elements(input);
    if (!items.empty()) return items.front();
  }
  return machine.undefined("No first item, sequence was empty.");
}

Value filter_last(Machine& machine, const Value& input, const Bound&) {
  if (input.is_sequence() && !input.sequence().has_length())
    return machine.fail("'generator' object is not reversible; make it a list first");
  const std::vector<Value> items = machine.elements(input);
  return items.empty() ? machine.undefined("No last item, sequence was empty.") : items.back();
}

Value filter_list(Machine& machine, const Value& input, const Bound&) { return machine.list(machine.elements(input)); }

Value filter_reverse(Machine& machine, const Value& input, const Bound&) {
  std::vector<Value> items = machine.elements(input);
  std::reverse(items.begin(), items.end());
  if (input.is_string()) {
    TextBuilder out(machine);
    for (const Value& item : items)
      if (!machine.failed()) out.append(item.string());
    return out.finish(input.string().markup);
  }
  const bool list = input.is_sequence() && !input.sequence().has_length();
  return machine.list(std::move(items), list ? SequenceType::list : SequenceType::iterator);
}

Value filter_items(Machine& machine, const Value& input, const Bound&) {
  std::vector<Value> out;
  if (!input.is_undefined()) {
    if (!input.is_dict()) return machine.fail("Can only get item pairs from a mapping.");
    for (const auto& [key, value] : input.dict().entries) out.push_back(machine.tuple({key, value}));
  }
  return machine.list(std::move(out), SequenceType::iterator);
}

Value filter_batch(Machine& machine, const Value& input, const Bound& arguments) {
  const std::int64_t count = integer_argument(machine, arguments, 0, 0, "batch");
  if (count < 1 || count > max_range) return machine.fail("batch: ", count, " items a row");
  std::vector<Value> rows, row;
  const auto finish = [&] { rows.push_back(machine.list(std::exchange(row, {}))); };
  for (const Value& item : machine.elements(input)) {
    if (static_cast<std::int64_t>(row.size()) == count) finish();
    row.push_back(item);
  }
  if (!row.empty()) {
    while (arguments.has(1) && static_cast<std::int64_t>(row.size()) < count) row.push_back(arguments[1]);
    finish();
  }
  return machine.list(std::move(rows), SequenceType::iterator);
}

Value filter_slice(Machine& machine, const Value& input, const Bound& arguments) {
  const std::int64_t count = integer_argument(machine, arguments, 0, 0, "slice");
  if (count < 1 || count > max_range) return machine.fail("slice: ", count, " slices");
  const std::vector<Value> items = machine.elements(input);
  const std::size_t slices = static_cast<std::size_t>(count), each = items.size() / slices,
                    extra = items.size() % slices;
  std::vector<Value> out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < slices && !machine.failed(); ++i) {
    const std::size_t size = each + (i < extra ? 1 : 0);
    std::vector<Value> part(items.begin() + static_cast<std::ptrdiff_t>(at),
                            items.begin() + static_cast<std::ptrdiff_t>(at + size));
    if (arguments.has(1) && i >= extra) part.push_back(arguments[1]);
    out.push_back(machine.list(std::move(part)));
    at += size;
  }
  return machine.list(std::move(out), SequenceType::iterator);
}

Value filter_default(Machine&, const Value& input, const Bound& arguments) {
  if (!input.is_undefined() && !(arguments.truthy(1) && !input.truthy())) return input;
  return arguments.values[0] ? arguments[0] : constant_text("");
}

Value filter_attr(Machine& machine, const Value& input, const Bound& arguments) {
  const String* name = text_argument(machine, arguments, 0, "attr");
  if (!name) return {};
  if (input.is_undefined()) return machine.fail(input.hint());
  auto own = machine.own_attribute(input, name->bytes);
  return own ? *own : machine.undefined(str("a ", input.type_name(), " has no such attribute"));
}

// --- map and select --------------------------------------------------------------------------------------------------

/// The arguments behind the first `count`, for the filter or test that is applied to each element.
Arguments rest_of(const Arguments& all, std::size_t count) {
  Arguments out;
  out.positional.assign(all.positional.begin() + static_cast<std::ptrdiff_t>(count), all.positional.end());
  out.named = all.named;
  return out;
}

Value filter_map(Machine& machine, const Value& input, const Bound& arguments) {
  const Arguments& all = *arguments.all;
  std::vector<Value> out;
  if (all.positional.empty()) {
    const Value *attribute = nullptr, *fallback = nullptr;
    for (const auto& [name, value] : all.named) {
      if (name == "attribute") attribute = &value;
      else if (name == "default") fallback = &value;
      else return machine.fail("map: there is no argument '", name, "'");
    }
    if (!attribute) return machine.fail("map requires a filter or attribute=");
    if (fallback && fallback->is_none()) fallback = nullptr;
    const Getter get(machine, attribute, false, fallback);
    for (const Value& item : machine.elements(input))
      if (!machine.failed()) out.push_back(get(item));
    return machine.list(std::move(out), SequenceType::iterator);
  }
  if (!all.positional[0].is_string()) return machine.fail("map: the filter's name is not a string");
  const Arguments rest = rest_of(all, 1);
  for (const Value& item : machine.elements(input))
    if (!machine.failed()) out.push_back(machine.filter(all.positional[0].string().bytes, item, rest));
  return machine.list(std::move(out), SequenceType::iterator);
}

/// Keeps the elements that, or whose attribute, pass a test, or fail it.
Value choose(Machine& machine, const Value& input, const Bound& arguments, bool passing, bool by_attribute) {
  const Arguments& all = *arguments.all;
  std::size_t used = by_attribute ? 1 : 0;
  if (all.positional.size() < used) return machine.fail("selectattr and rejectattr require the name of an attribute");
  const Getter get(machine, by_attribute ? &all.positional[0] : nullptr, false);
  const Value* test = all.positional.size() > used ? &all.positional[used++] : nullptr;
  if (test && !test->is_string()) return machine.fail("select: the test's name is not a string");
  const Arguments rest = rest_of(all, used);
  std::vector<Value> out;
  for (const Value& item : machine.elements(input)) {
    if (machine.failed()) return {};
    const Value seen = get(item);
    const bool passes = test ? machine.test(test->string().bytes, seen, rest).truthy() : seen.truthy();
    if (passes == passing) out.push_back(item);
  }
  return machine.list(std::move(out), SequenceType::iterator);
}
Value filter_select(Machine& machine, const Value& input, const Bound& arguments) {
  return choose(machine, input, arguments, true, false);
}
Value filter_reject(Machine& machine, const Value& input, const Bound& arguments) {
  return choose(machine, input, arguments, false, false);
}
Value filter_selectattr(Machine& machine, const Value& input, const Bound& arguments) {
  return choose(machine, input, arguments, true, true);
}
Value filter_rejectattr(Machine& machine, const Value& input, const Bound& arguments) {
  return choose(machine, input, arguments, false, true);
}

constexpr Builtin table[] = {
    {"attr", "name", 1, filter_attr},
    {"batch", "linecount fill_with", 1, filter_batch},
    {"count", "", 0, filter_length},
    {"d", "default_value boolean", 0, filter_default},
    {"default", "default_value boolean", 0, filter_default},
    {"dictsort", "case_sensitive by reverse", 0, filter_dictsort},
    {"first", "", 0, filter_first},
    {"groupby", "attribute default case_sensitive", 1, filter_groupby},
    {"items", "", 0, filter_items},
    {"join", "d attribute", 0, filter_join},
    {"last", "", 0, filter_last},
    {"length", "", 0, filter_length},
    {"list", "", 0, filter_list},
    {"map", "*", 0, filter_map},
    {"max", "case_sensitive attribute", 0, filter_max},
    {"min", "case_sensitive attribute", 0, filter_min},
    {"reject", "*", 0, filter_reject},
    {"rejectattr", "*", 0, filter_rejectattr},
    {"reverse", "", 0, filter_reverse},
    {"select", "*", 0, filter_select},
    {"selectattr", "*", 0, filter_selectattr},
    {"slice", "slices fill_with", 1, filter_slice},
    {"sort", "reverse case_sensitive attribute", 0, filter_sort},
    {"sum", "attribute start", 0, filter_sum},
    {"unique", "case_sensitive attribute", 0, filter_unique},
};

}  // namespace

std::span<const Builtin> sequence_filters() { return table; }

}  // namespace strata::text::jinja
