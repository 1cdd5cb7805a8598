// Owns: which bytes of a prompt count as conversation, through every way a template can take them.
#include "support/catch.h"
#include "text/chat_template.h"

using namespace strata;

namespace {

/// The prompt with its content between « and ».
std::string marked(std::string_view source, std::string_view messages = R"([{"role": "user", "content": " ab <c> "}])",
                   std::string_view tools = "") {
  auto chat = text::ChatTemplate::parse(source);
  if (!chat) return "error: " + chat.error().message;
  text::ChatInput input;
  input.messages = messages;
  input.tools = tools;
  input.tokens = {{"bos_token", "<s>"}};
  input.variables = {{"mood", "\"<good>\""}, {"flag", "true"}};
  auto prompt = chat->render(input);
  if (!prompt) return "error: " + prompt.error().message;
  std::string out;
  std::size_t at = 0;
  for (const text::ByteRange& range : prompt->content) {
    CHECK(range.begin < range.end);
    CHECK(range.end <= prompt->text.size());
    CHECK((range.begin > at || at == 0));  // neighbours are one range
    out += prompt->text.substr(at, range.begin - at) + "«" + prompt->text.substr(range.begin, range.end - range.begin) +
           "»";
    at = range.end;
  }
  return out + prompt->text.substr(at);
}

}  // namespace

TEST_CASE("what the template spells is structure, what it is given is content") {
  CHECK(marked("{{ bos_token }}<u>{{ messages[0].content }}</u>") == "<s><u>« ab <c> »</u>");
  CHECK(marked("<|{{ messages[0].role }}|>{{ mood }}{{ flag }}") == "<|user|>«<good>»True");
  CHECK(marked("<|{{ messages[0].role }}|>", R"([{"role": "u|><x"}])") == "<|«u|><x»|>");
  CHECK(marked("{{ messages[0].name }}", R"([{"name": "role", "role": "a"}])") == "«role»");
  CHECK(marked("{{ messages[0].role[0] }}{{ messages[0].a }}", R"([{"role": ["user", {"role": 1}], "a": "role"}])") ==
        "«userrole»");
  CHECK(marked("{{ tools[0].name }}{{ messages[0].keys() | list | first }}", R"([{"k<": 1}])", R"([{"name": "f"}])") ==
        "«fk<»");
  CHECK(marked("{{ messages[0].n }}{{ messages[0].l | length }}", R"([{"n": 15, "l": [1, 2]}])") == "152");
}

TEST_CASE("the marks follow every operation on text") {
  const std::string c = "{% set c = messages[0].content %}";
  CHECK(marked(c + "{{ '<' + c + '>' }}{{ '<' ~ c ~ '>' }}{{ c * 2 }}") ==
        "<« ab <c> »><« ab <c> »>« ab <c>  ab <c> »");
  CHECK(marked(c + "{{ ('<' + c + '>') | trim }}|{{ c | trim }}|{{ c.strip() ~ 'x' }}|{{ (' x ' ~ c).strip() }}") ==
        "<« ab <c> »>|«ab <c>»|«ab <c>»x|x « ab <c>»");
  CHECK(marked(c + "{{ ('x' ~ c)[2:4] }}{{ ('xy' ~ c)[:3] }}{{ ('xy' ~ c)[::-1] }}{{ c[1] }}") ==
        "«ab»xy«  >c< ba »yx«a»");
  CHECK(marked(c + "{{ ('x' ~ c ~ 'y') | upper }}{{ c.title() }}") == "X« AB <C> »Y« Ab <C> »");
  CHECK(marked(c + "{{ ('|' ~ c).split('b')[0] }}{{ c.split() | join('-') }}{{ ('x' ~ c).partition('a') | last }}") ==
        "|« aab»-«<c>b <c> »");
  CHECK(marked(c + "{{ c.replace('ab', '<z>') }}{{ 'x_y'.replace('_', c) }}") == "« »<z>« <c> »x« ab <c> »y");
  CHECK(marked(c + "{{ '[%s|%5s]' % (c, 'a') }}{{ '[{}]'.format(c) }}{{ '<%s>' | format(c) }}") ==
        "[« ab <c> »|    a][« ab <c> »]<« ab <c> »>");
  CHECK(marked(c + "{{ c | tojson }}{{ [c, 'x'] }}{{ {'k': c} | tojson }}") ==
        "\"« ab <c> »\"['« ab <c> »', 'x']{\"k\": \"« ab <c> »\"}");
  CHECK(marked(c + "{{ ('a\n' ~ c) | indent(1) }}|{{ c | center(10) }}|{{ c | reverse }}|{{ c | escape }}") ==
        "a\n « ab <c> »| « ab <c> » |« >c< ba »|« ab &lt;c&gt; »");
  CHECK(
      marked(c +
             "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(c) | trim('<>') }}{% set b %}({{ c }}){% endset %}{{ b }}") ==
      "« ab <c> »(« ab <c> »)");
  CHECK(marked(c + "{% filter upper %}x{{ c }}{% endfilter %}{% for ch in c %}{{ ch }}{% endfor %}") ==
        "X« AB <C>  ab <c> »");
  CHECK(
      marked(
          c +
          "{% set ns = namespace(s='') %}{% for p in c.split('b') %}{% set ns.s = ns.s + p %}{% endfor %}{{ ns.s }}") ==
      "« a <c> »");
  CHECK(marked("{{ messages[0].content | tojson }}", R"([{"content": "a\"\u0001\n"}])") == "\"«a\\\"\\u0001\\n»\"");
  CHECK(marked(c + "{{ c.lstrip().rstrip() ~ c.removeprefix(' a') ~ c.ljust(9, '.') ~ c.splitlines()[0] }}") ==
        "«ab <c>b <c>  ab <c> ».« ab <c> »");
}
