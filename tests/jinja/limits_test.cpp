// Owns: hostile templates and input: each limit is an error that names the line; nothing crashes, hangs or leaks.
#include <thread>

#include "support/catch.h"
#include "text/chat_template.h"

using namespace strata;

namespace {

Result<text::ChatPrompt> render(std::string_view source, std::string_view messages = "[]",
                                text::jinja::Limits limits = {}) {
  auto chat = text::ChatTemplate::parse(source);
  if (!chat) return chat.error();
  text::ChatInput input;
  input.messages = messages;
  input.limits = limits;
  return chat->render(input);
}

void refused(std::string_view source, std::string_view part, std::string_view messages = "[]") {
  INFO(source.substr(0, 200));
  text::jinja::Limits limits;
  limits.steps = 5'000'000;
  auto result = render(source, messages, limits);
  REQUIRE_FALSE(result);
  INFO(result.error().message);
  CHECK(result.error().message.find(part) != std::string::npos);
  CHECK(result.error().message.find('\n') == std::string::npos);
}

std::string repeat(std::string_view part, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += part;
  return out;
}

}  // namespace

TEST_CASE("time is bounded") {
  refused("\n{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
          "line 2: the rendering takes more than 5000000 steps");
  refused("{% set s = 'a' * 1000000 %}{% for a in range(99999) %}{% set b = s | upper %}{% endfor %}", "steps");
  refused("{% set s = 'a' * 1000000 %}{% for a in range(99999) %}{% if 'ab' in s %}{% endif %}{% endfor %}", "steps");
  // A search that steps back takes the product of both lengths: 10^12 comparisons.
  CHECK(
      render("{% set s = 'a' * 4000000 %}{% set p = 'a' * 2000000 ~ 'b' %}{{ p in s }}{{ s.rfind(p) }}{{ s.count(p) }}")
          ->text == "False-10");
  refused(
      "{% set ns = namespace(l=[1, 2]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
      "");
  refused(
      "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, "
      "ns.b] %}{% endfor %}"
      "{{ ns.a == ns.b }}",
      "steps");
  refused(
      "{% set ns = namespace(t=()) %}{% for i in range(90) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}{{ {ns.t: 1} }}",
      "unhashable");
}

TEST_CASE("memory is bounded, also of what is thrown away") {
  refused("{{ 'a' * 1000000000 }}", "bytes");
  refused("{{ ('a' * 1000000000)[0] }}", "bytes");
  refused("{{ [1] * 1000000000 }}", "");
  refused("{{ ([1] * 100000) * 100000 }}", "");
  refused("{{ range(1000000000) | list }}", "range of 1000000000 numbers");
  refused("{{ range(-9223372036854775807, 9223372036854775807) }}", "range of");
  refused("{% set ns = namespace(s='ab') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "more than");
  refused(
      "{% set ns = namespace(s='ab') %}{% for i in range(64) %}{% set ns.s = ns.s | replace('', ns.s) %}{% endfor %}",
      "");
  refused("{{ '%1000000000s' % 'a' }}", "width");
  refused("{{ '{:1000000000}'.format('a') }}", "width");
  refused("{{ 'a'.center(100000000000) }}", "bytes");
  refused("{{ 'a'.zfill(100000000000) }}", "bytes");
  refused("{{ 'a' | indent(1000000000) }}", "width");
  refused("{{ [1] | tojson(indent=1000000000) }}", "indent");
  refused("{{ 'a\t'.expandtabs(1000000000000) }}", "bytes");
  refused("{{ ',' | join('a' * 100000000) }}{{ ('b' * 100000) | list | join('a' * 100000) }}", "more than");
  refused("{% for i in range(99999) %}{{ 'a' * 10000 }}{% endfor %}", "more than");
  refused(
      "{% macro m() %}{% endmacro %}{% for a in range(9999) %}{% for i in range(9999) %}{% call m() %}{% endcall %}{% "
      "endfor %}{% endfor %}",
      "");
  refused("{% for a in range(9999) %}{% for i in range(9999) %}{% set n = namespace() %}{% endfor %}{% endfor %}",
          "bytes");
  text::jinja::Limits small;
  small.memory = 5000;
  CHECK_FALSE(render("x", R"([{"content": ")" + repeat("a", 10000) + "\"}]", small));
  // What dies gives its memory back.
  CHECK(render("{% set s = 'a' * 1000000 %}{% set ns = namespace() %}{% for i in range(1000) %}{% set ns.t = s ~ 'b' %}"
               "{% endfor %}{{ ns.t | length }}")
            ->text == "1000001");
}

TEST_CASE("nesting is bounded") {
  refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nest deeper");
  refused("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nest deeper");
  refused(repeat("{% if true %}", 1000) + repeat("{% endif %}", 1000), "nest deeper");
  refused("{{ " + repeat("(", 1000) + "1" + repeat(")", 1000) + " }}", "nest deeper");
  refused("{{ " + repeat("[", 100000) + repeat("]", 100000) + " }}", "nest");
  refused("{{ " + repeat("-", 100000) + "1 }}", "nest");
  refused("{{ " + repeat("not ", 100000) + "1 }}", "nest");
  refused("{{ 1" + repeat("+1", 100000) + " }}", "nest");
  refused("{{ a" + repeat(".a", 100000) + " }}", "nest");
  refused("{{ a" + repeat("|a", 100000) + " }}", "nest");
  refused("{{ a" + repeat(" if a else a", 10000) + " }}", "nest");
  refused("{{ a" + repeat("**a", 100000) + " }}", "nest");
  refused("{% for " + repeat("(", 100000) + "a" + repeat(")", 100000) + " in b %}{% endfor %}", "nest");
  refused("{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}",
          "nest deeper than 100");
  refused("{% set ns = namespace(x={}) %}{% for i in range(1000) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
          "nest deeper than 100");
  refused("x", "nest deeper", repeat("[", 100000) + repeat("]", 100000));
  CHECK(render("{{ 1" + repeat("+1", 150) + " }}")->text == "151");
}

TEST_CASE("circles of values are freed and printed") {
  CHECK(
      render("{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns, {'n': ns}] %}{{ ns.me.me is defined }}")
          ->text == "True");
  CHECK(render("{% set ns = namespace() %}{% macro m() %}{{ m is callable }}{% endmacro %}{% set ns.m = m %}{% set "
               "ns.ns = ns %}{{ ns.m() }}")
            ->text == "True");
  CHECK(
      render("{% set ns = namespace() %}{% for x in [1, 2] %}{% set ns.l = loop %}{% set ns.c = loop.cycle %}{{ "
             "loop.changed(loop) }}{{ loop.changed(loop.changed) }}"
             "{% endfor %}{{ ns.l.index }}{{ ns.c('a', 'b') }}{{ ns.l.changed(ns.l) }}{{ ns.l.last }}{{ ns.l.length }}")
          ->text.find("TrueTrue") == 0);
  CHECK_FALSE(
      render("{% set ns = namespace() %}{% for x in [1] recursive %}{% set ns.l = loop %}{% endfor %}{{ ns.l([1]) }}"));
  CHECK(render("{% set ns = namespace() %}{% for x in [1, 2] if x > 0 %}{% set ns.l = loop %}{% endfor %}{{ "
               "ns.l.length >= 0 }}{{ ns.l.nextitem }}")
            ->text == "True");
}

TEST_CASE("numbers at their ends") {
  refused("{{ 9223372036854775807 + 1 }}", "64 bits");
  refused("{{ -9223372036854775807 - 2 }}", "64 bits");
  refused("{{ 9223372036854775807 * 2 }}", "64 bits");
  refused("{{ 10 ** 40 }}", "64 bits");
  refused("{{ (-9223372036854775807 - 1) // -1 }}", "64 bits");
  refused("{{ -(-9223372036854775807 - 1) }}", "64 bits");
  refused("{{ (-9223372036854775807 - 1) | abs }}", "64 bits");
  refused("{{ 9223372036854775808 }}", "64 bits");
  refused("{{ 0 ** -1 }}", "negative power");
  refused("{{ (-8) ** 0.5 }}", "complex");
  CHECK(render("{{ (-9223372036854775807 - 1) % -1 }} {{ 9223372036854775807 }} {{ 1e400 | default }} {{ 2 ** 62 }}")
            .error()
            .message.find("range") != std::string::npos);
  CHECK(render("{{ (-9223372036854775807 - 1) % -1 }} {{ 1 ** 9223372036854775807 }} {{ 'abc'[9223372036854775807:] "
               "}}{{ 'abc'[::-9223372036854775807] }}")
            ->text == "0 1 c");
  CHECK(render("{{ messages[0].a }} {{ messages[0].b }} {{ messages[0].c }}",
               R"([{"a": 18446744073709551616, "b": -0, "c": 1E2}])")
            ->text == "1.8446744073709552e+19 0 100.0");
  CHECK(
      render("{{ 1e308 * 10 }} {{ -(1e308 * 10) }} {{ (1e308 * 10) - (1e308 * 10) }} {{ (1e308 * 10) | int }}")->text ==
      "inf -inf nan 0");
}

TEST_CASE("JSON is read strictly, and errors name the byte") {
  for (std::string_view bad : std::initializer_list<std::string_view>{
           "", "[", "[1", "{}", "[1]", "nul", "[{\"a\": }]", "[{\"a\" 1}]", "[{a: 1}]", "[{\"a\": 01}]",
           "[{\"a\": 1.}]", "[{\"a\": +1}]", "[{\"a\": \"\x01\"}]", "[{\"a\": \"\\x\"}]", "[{\"a\": \"\\ud800\"}]",
           "[{\"a\": \"\\udc00\"}]", "[{\"a\": \"\\ud800\\u0041\"}]", "[{\"\xED\xA0\x80\": 1}]", "[{\"a\": 1e400}]",
           std::string_view("[]\0", 3), std::string_view("[]\0[", 4), "[{\"a\": \"\xFF\"}]", "[{\"a\": \"b}]", "[] []",
           "[{\"a\": 1},]", "[{\"a\": 1,}]", "[{\"a\": NaN}]", "[{\"a\": -}]", "[{\"a\": 1e}]", "null"}) {
    INFO(bad);
    auto result = render("x", bad);
    REQUIRE_FALSE(result);
    CHECK(result.error().message.find("messages: ") == 0);
    CHECK((result.error().message.find("JSON, byte ") == 10 || bad == "{}" || bad == "[1]" || bad == "null"));
    CHECK(result.error().message.find('\n') == std::string::npos);
    CHECK(result.error().message.size() < 300);
  }
  refused("x", "JSON, byte 101: values nest deeper than 100", repeat("[", 101));
  refused("x", "JSON, byte 501: values nest deeper than 100", repeat("{\"a\":", 101));
  refused("x", "JSON, byte 1000002: ", '"' + repeat("a", 1000000) + '\n');
  refused("x", "JSON, byte 100000: ", repeat("1", 100000));
  CHECK(render("{{ messages }}", "\xEF\xBB\xBF[{\"a\": -1e-400}]")->text == "[{'a': -0.0}]");
  CHECK(render("{{ messages }}", " [ { \"a\" : [ ] , \"b\" : { } , \"a\" : 2 } ] ")->text == "[{'a': 2, 'b': {}}]");
  CHECK(render("{{ messages[0].a }}", R"([{"a": "\u00e9\ud83d\ude00\/\b"}])")->text == "é😀/\b");
  CHECK(render("{{ messages[0].k25 }}",
               [] {
                 std::string json = "[{";
                 for (int i = 0; i < 40; ++i)
                   json += (i ? ", \"k" : "\"k") + std::to_string(i % 30) + "\": " + std::to_string(i);
                 return json + "}]";
               }())
            ->text == "25");
}

TEST_CASE("a template is read strictly, and errors name the line") {
  refused("\xFF", "not UTF-8");
  refused(std::string((1u << 20) + 1, 'a'), "bytes");
  refused("a\n{{ 'abc", "line 2: a string has no end");
  refused("a\n{# abc", "line 2: a comment");
  refused("{% raw %} abc", "endraw");
  refused("{{ 1 ? 2 }}", "unexpected character '?'");
  refused("{{ '\\ud800' }}", "no character");
  refused("{{ '\\N{DASH}' }}", "number");
  refused("{% include 'x' %}", "include");
  refused("{% import 'x' as y %}", "import");
  refused("{% from 'x' import y %}", "from");
  refused("{% extends 'x' %}", "extends");
  refused("\n\n{{ x.y.z }}", "line 3: 'x' is undefined");
  refused("{% macro m() %}\n{{ 1 + 'a' }}{% endmacro %}\n{{ m() }}", "line 2: ");
  refused("{{ raise_exception('a\nb') }}", "a b");
  CHECK(render("{% include 'x' %}").error().code == ErrorCode::unsupported);
  CHECK(render("{{ 1").error().code == ErrorCode::bad_file);
  CHECK(render("{{ x | nosuch }}").error().code == ErrorCode::unsupported);
  CHECK(render("{{ strftime_now('%Y') }}").error().message.find("no time was given") != std::string::npos);
  CHECK(render("{{ strftime_now is defined }}")->text == "False");
}

TEST_CASE("one template renders in many threads") {
  auto chat = text::ChatTemplate::parse(
                  "{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s ~ m.role ~ ('x' ~ "
                  "loop.index) | upper %}{% endfor %}{{ ns.s }}")
                  .value_or_throw();
  text::ChatInput input;
  input.messages = R"([{"role": "a"}, {"role": "b"}])";
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i)
        good[static_cast<std::size_t>(t)] += chat.render(input).value_or_throw().text == "aX1bX2";
    });
  for (auto& thread : threads) thread.join();
  CHECK(good == std::vector<int>(4, 100));
}
