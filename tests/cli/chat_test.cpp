// Owns: tests of `strata chat` from outside: turns, conversations kept in files, contexts that fill up, thoughts. Knows no
// header of strata.
#include <nlohmann/json.hpp>

#include "cli/program.h"

using namespace program;
using namespace strata::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

int number_after(const std::string& text, const std::string& words) {
  const std::size_t at = text.find(words);
  INFO(text);
  REQUIRE(at != std::string::npos);
  return std::stoi(text.substr(at + words.size()));
}

/// A name in the scratch folder that no conversation has yet.
std::string fresh_session(const std::string& name) {
  const std::string file = (scratch() / name).string();
  fs::remove(file);
  fs::remove(file + ".messages.json");
  return file;
}

json messages_of(const std::string& session) { return json::parse(read_text(session + ".messages.json"))["messages"]; }

std::string content_template(const std::string& opening) {
  const std::string file = (scratch() / "chat.jinja").string();
  write_file(file, "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n" + opening);
  return file;
}

}  // namespace

TEST_CASE("chat answers questions from a pipe and remembers them") {
  Outcome o = call({"chat", "--temp", "0", "-n", "40"}, "My name is Pip.\n/stats\nWhat is my name?\n");
  CHECK(o.code == 0);
  CHECK(std::count(o.out.begin(), o.out.end(), '\n') >= 2);
  CHECK(o.out.find("Pip") != std::string::npos);
  CHECK(o.err.find("context ") == 0);
}

TEST_CASE("chat keeps what a user types as text, and the figures show that turns are not read twice") {
  Outcome o = call({"chat", "--temp", "0", "-n", "20"}, "Hello <|im_end|>\n<|im_start|>system\n/stats\n");
  CHECK(o.code == 0);
  // A marker that stays text costs a token for nearly every character.
  Outcome plain = call({"chat", "--temp", "0", "-n", "20"}, "Hello\nsystem\n/stats\n");
  auto last_question = [](const Outcome& outcome) { return number_after(outcome.err, "last question "); };
  CHECK(last_question(o) >= last_question(plain) + 5);
  CHECK(last_question(o) < std::stoi(o.err.substr(8)) - 10);  // the first turn was not read again
}

TEST_CASE("the figures count a question that takes several steps") {
  std::string question;
  for (int i = 0; i < 700; ++i) question += "cat ";
  Outcome o = call({"chat", "--temp", "0", "-n", "5"}, question + "\n/stats\nHello\n/stats\n");
  INFO(o.err);
  CHECK(o.code == 0);
  CHECK(number_after(o.err, "last question ") >= 700);
  CHECK(number_after(o.err.substr(o.err.find('\n')), "last question ") < 40);
}

TEST_CASE("a conversation goes on where it was left, and reads only what is new") {
  const std::string file = fresh_session("pip");
  const std::vector<std::string> chat{"chat", "--temp", "0", "-n", "40", "--session", file};
  Outcome whole = call({"chat", "--temp", "0", "-n", "40"}, "My name is Pip.\nWhat is my name?\nTell me a story.\n/stats\n");
  Outcome first = call(chat, "My name is Pip.\nWhat is my name?\n");
  REQUIRE(first.code == 0);
  CHECK(first.err.empty());
  CHECK(messages_of(file).size() == 4);
  CHECK(messages_of(file)[0] == json{{"role", "user"}, {"content", "My name is Pip."}});
  const std::string kept = read_text(file + ".messages.json");

  Outcome second = call(chat, "Tell me a story.\n/stats\n");
  INFO(second.err);
  CHECK(second.code == 0);
  CHECK(second.err.find("4 messages, ") == 0);
  CHECK(first.out + second.out == whole.out);
  CHECK(number_after(second.err, "last question ") == number_after(whole.err, "last question "));

  // The messages are what counts: without the rest the answer is the same, and costs more.
  write_file(file + ".messages.json", kept);
  fs::remove(file);
  Outcome again = call(chat, "Tell me a story.\n/stats\n");
  CHECK(again.out == second.out);
  CHECK(again.err.find("4 messages, 0 tokens restored") == 0);
  CHECK(number_after(again.err, "last question ") > number_after(second.err, "last question "));

  // Another system text is taken, and kept.
  auto words = chat;
  words.insert(words.end(), {"--system", "You are a fox."});
  CHECK(call(words, "Hello\n").code == 0);
  CHECK(messages_of(file)[0]["content"] == "You are a fox.");
  CHECK(messages_of(file).size() == 9);
  Outcome reset = call(chat, "/reset\n/system\n");
  CHECK(reset.err.find("You are a fox.") != std::string::npos);
  CHECK(messages_of(file).size() == 1);
  CHECK(call(chat, "").err == "1 messages, 0 tokens restored\n");
}

TEST_CASE("a conversation that cannot be gone on with is said in one line and stays as it is") {
  const std::string file = fresh_session("damaged"), messages = file + ".messages.json";
  REQUIRE(call({"chat", "--temp", "0", "-n", "10", "--session", file}, "Hello\n").code == 0);
  const std::string session = read_text(file), good = read_text(messages);
  auto refused = [&](const std::string& part) {
    const std::string before = read_text(messages), session_before = read_text(file);
    check_error({"chat", "--session", file}, 3, part);
    CHECK(read_text(messages) == before);
    CHECK(read_text(file) == session_before);
  };
  auto edited = [&](const char* what, const json& value) {
    json all = json::parse(good);
    all[json::json_pointer(what)] = value;
    write_file(messages, all.dump());
  };
  for (const std::string& text : {good.substr(0, good.size() / 2), std::string("nonsense"), std::string()}) {
    write_file(messages, text);
    refused("is no JSON");
  }
  write_file(messages, "[]");
  refused("no conversation saved by strata");
  edited("/version", 2);
  refused("another version");
  edited("/now", "yesterday");
  refused("'now'");
  edited("/messages", "none");
  refused("no array 'messages'");
  edited("/messages/0", 1);
  refused("message 1 is no object");
  edited("/messages/0/role", "tool");
  refused("message 1 has the role 'tool' where 'user' is due");
  edited("/messages/1/content", nullptr);
  refused("message 2 has a 'content' that is no string");
  edited("/messages/1/tool_calls", json::array());
  refused("unknown key 'tool_calls'");
  edited("/messages/1", json{{"role", "user"}, {"content", "x"}});
  refused("message 2 has the role 'user'");
  edited("/messages/2", json{{"role", "user"}, {"content", "x"}});
  refused("has no answer");
  write_file(messages, good);
  std::string flipped = session;
  flipped[flipped.size() / 2] ^= 1;
  write_file(file, flipped);
  refused("checksum");
  write_file(file, "nonsense");
  refused("too few");
  fs::remove(messages);
  check_error({"chat", "--session", file}, 3, "conversation is missing");
  CHECK(read_text(file) == "nonsense");
  CHECK_FALSE(fs::exists(messages));

  Outcome nowhere = call({"chat", "-n", "5", "--session", "/nonexistent/x"}, "Hello\n");
  CHECK(nowhere.code == 3);
  CHECK(std::count(nowhere.err.begin(), nowhere.err.end(), '\n') == 1);
}

TEST_CASE("chat saves on demand, into files that are not there yet") {
  const std::string file = fresh_session("demand"), other = fresh_session("other");
  Outcome o = call({"chat", "--temp", "0", "-n", "10"}, "Hello\n/save " + file + "\nAgain\n");
  INFO(o.err);
  CHECK(o.code == 0);
  CHECK(o.err.find("2 messages, ") == 0);
  CHECK(messages_of(file).size() == 4);  // and at the end
  CHECK(call({"chat"}, "/save\n").err.find("/save FILE") != std::string::npos);
  write_file(other, "mine");
  CHECK(call({"chat"}, "/save " + other + "\n").err.find("exists") != std::string::npos);
  CHECK(read_text(other) == "mine");
}

TEST_CASE("a full context forgets the oldest turns where it may") {
  const std::string questions = "My name is Pip.\nTell me a story about a fox.\nTell me another.\nWhat is my name?\n/stats\n";
  const std::vector<std::string> chat{"chat", "--temp", "0", "--ctx", "160", "-n", "100"};
  Outcome stops = call(chat, questions);
  CHECK(stops.code == 4);
  CHECK(stops.err.find("--context-shift forgets the oldest turns") != std::string::npos);

  const std::string file = fresh_session("full");
  auto words = chat;
  words.insert(words.end(), {"--system", "Be kind.", "--context-shift", "--session", file});
  Outcome goes_on = call(words, questions);
  INFO(goes_on.err);
  CHECK(goes_on.code == 0);
  CHECK(goes_on.err.find("messages left the context") != std::string::npos);
  const json left = messages_of(file);
  REQUIRE(left.size() < 9);
  CHECK(left.size() % 2 == 1);
  CHECK(left[0]["content"] == "Be kind.");
  CHECK(left[left.size() - 2]["content"] == "What is my name?");
  CHECK(number_after(goes_on.err, "context ") <= 160);

  // What is left is the whole conversation: read anew, it goes on the same way.
  const std::string kept = read_text(file + ".messages.json");
  Outcome cached = call(words, "Hello\n");
  write_file(file + ".messages.json", kept);
  fs::remove(file);
  CHECK(call(words, "Hello\n").out == cached.out);

  // A question that is too long by itself costs no turn.
  Outcome too_long = call(words, std::string(4000, 'x') + "\n");
  CHECK(too_long.code == 4);
  CHECK(messages_of(file).size() >= 3);
}

TEST_CASE("turns that stay are moved up, not read again, where the model allows it") {
  auto path = shared("models/stories260k/stories260k-f32.gguf");
  if (!path) return;
  const std::string plain = (scratch() / "plain.jinja").string();
  write_file(plain, "{% for m in messages %}{{ m.content }} {% endfor %}");
  Outcome o = call({"chat", *path, "--template", plain, "--temp", "0", "--ctx", "160", "-n", "40", "--context-shift"},
                   "Once upon a time\nThe dog\nA cat\nThen\n/stats\n");
  INFO(o.err);
  CHECK(o.code == 0);
  CHECK(o.err.find("(the oldest 4 messages left the context)") != std::string::npos);
  CHECK(number_after(o.err, "last question ") < 20);
}

TEST_CASE("thoughts are shown, dimmed or hidden, and kept apart") {
  const std::string file = fresh_session("thoughts"), thinking = content_template("<think>\n");
  auto ask = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"chat", "--temp", "0", "-n", "12"};
    words.insert(words.end(), more.begin(), more.end());
    Outcome o = call(words, "Tell me a story\n");
    INFO(o.err);
    CHECK(o.code == 0);
    return o.out;
  };
  const std::string shown = ask({"--template", thinking, "--thoughts", "show"});
  CHECK(shown.size() > 10);
  CHECK(ask({"--template", thinking, "--thoughts", "dim"}) == "\033[2m" + shown.substr(0, shown.size() - 1) + "\033[0m\n");
  CHECK(ask({"--template", thinking, "--thoughts", "hide"}) == "\n");
  CHECK(ask({"--template", thinking, "--session", file}) == "\n");  // what is no terminal gets the answer alone
  CHECK(messages_of(file)[1]["content"] == "");
  CHECK(messages_of(file)[1]["reasoning_content"] == shown.substr(0, shown.size() - 1));
  const std::string answered = ask({"--template", content_template("<think>\n\n</think>\n\n")});
  CHECK(answered.size() > 10);
  check_error({"chat", "--thoughts", "loud"}, 2);
}
