// Owns: reading and writing conversations, and forgetting what came first. Knows JSON, POSIX and the public API.
#include "examples/cli/conversation.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "examples/cli/options.h"
#include "examples/cli/template_options.h"

namespace cli {

using namespace strata;

namespace {

constexpr const char* format_name = "strata conversation";
constexpr int format_version = 1;
constexpr std::uintmax_t max_bytes = std::uintmax_t{1} << 28;

/// The string under `key`; nothing where it is no string.
const std::string* string_at(const nlohmann::json& object, const char* key) {
  auto at = object.find(key);
  return at == object.end() ? nullptr : at->get_ptr<const std::string*>();
}

/// One message; an error says what is wrong with it.
Result<Message> read_message(const nlohmann::json& json, std::string_view wanted_role) {
  auto wrong = [](std::string what) { return Error{ErrorCode::bad_file, std::move(what)}; };
  if (!json.is_object()) return wrong("is no object");
  Message message;
  for (const auto& [key, value] : json.items()) {
    std::string* field = key == "role"                ? &message.role
                         : key == "content"           ? &message.content
                         : key == "reasoning_content" ? &message.thought
                                                      : nullptr;
    if (!field) return wrong("has the unknown key '" + key + "'");
    if (!value.is_string()) return wrong("has a '" + key + "' that is no string");
    *field = value.get<std::string>();
  }
  if (message.role != wanted_role)
    return wrong("has the role '" + message.role + "' where '" + std::string(wanted_role) + "' is due");
  return message;
}

Result<void> write_all(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".part-" + std::to_string(::getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  // The data reach the disk before the name does: a crash leaves the old file or the new one.
  bool good = file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() && std::fflush(file) == 0 &&
              ::fsync(::fileno(file)) == 0;
  int reason = errno;
  if (file && std::fclose(file) != 0 && good) {
    good = false;
    reason = errno;
  }
  if (good && std::rename(temporary.c_str(), path.c_str()) != 0) {
    good = false;
    reason = errno;
  }
  if (good) return {};
  std::remove(temporary.c_str());
  return Error{ErrorCode::io, path + ": cannot write: " + std::strerror(reason)};
}

/// For each position of `text`, how many tokens from there on are those that `pattern` begins with (the Z function).
std::vector<std::size_t> matches(std::span<const Token> pattern, std::span<const Token> text) {
  std::vector<Token> both(pattern.begin(), pattern.end());
  both.push_back(no_token);
  both.insert(both.end(), text.begin(), text.end());
  std::vector<std::size_t> z(both.size(), 0);
  for (std::size_t i = 1, begin = 0, end = 0; i < both.size(); ++i) {
    if (i < end) z[i] = std::min(end - i, z[i - begin]);
    while (i + z[i] < both.size() && both[z[i]] == both[i + z[i]]) ++z[i];
    if (i + z[i] > end) begin = i, end = i + z[i];
  }
  z.erase(z.begin(), z.begin() + static_cast<std::ptrdiff_t>(pattern.size()) + 1);
  return z;
}

}  // namespace

std::string messages_path(const std::string& session) { return session + ".messages.json"; }

Result<Conversation> read_conversation(const std::string& path) {
  auto wrong = [&path](const std::string& what) { return Error{ErrorCode::bad_file, path + ": " + what}; };
  std::error_code error;
  if (const auto bytes = std::filesystem::file_size(path, error); !error && bytes > max_bytes)
    return wrong(std::to_string(bytes) + " bytes are too many for a conversation");
  auto text = read_input(path);
  if (!text) return text.error();
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return wrong("is no JSON; the file is damaged or cut short");
  const std::string* format = json.is_object() ? string_at(json, "format") : nullptr;
  if (!format || *format != format_name) return wrong("is no conversation saved by strata");
  if (json.value("version", nlohmann::json()) != format_version)
    return wrong("is of another version than " + std::to_string(format_version) + ", which this build reads");
  Conversation out;
  const std::string* now = string_at(json, "now");
  const auto time = now ? parse_time(*now) : std::nullopt;
  if (!time) return wrong("has no 'now' like 2026-11-21T09:03:44");
  out.now = *time;
  const auto messages = json.find("messages");
  if (messages == json.end() || !messages->is_array()) return wrong("has no array 'messages'");
  for (const nlohmann::json& each : *messages) {
    const std::string* role = each.is_object() ? string_at(each, "role") : nullptr;
    const bool system = out.messages.empty() && role && *role == "system";
    const bool answer = !out.messages.empty() && out.messages.back().role == "user";
    auto message = read_message(each, system ? "system" : answer ? "assistant" : "user");
    if (!message) return wrong("message " + std::to_string(out.messages.size() + 1) + " " + message.error().message);
    out.messages.push_back(std::move(*message));
  }
  if (!out.messages.empty() && out.messages.back().role == "user") return wrong("the last question has no answer");
  return out;
}

Result<void> write_conversation(const std::string& path, const Conversation& conversation) {
  nlohmann::ordered_json json{
      {"format", format_name}, {"version", format_version}, {"now", time_text(conversation.now)}};
  auto& messages = json["messages"] = nlohmann::ordered_json::array();
  for (const Message& message : conversation.messages) {
    messages.push_back({{"role", message.role}, {"content", message.content}});
    if (!message.thought.empty()) messages.back()["reasoning_content"] = message.thought;
  }
  return write_all(path, json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

bool forget_oldest_turn(std::vector<Message>& messages) {
  auto is_question = [](const Message& message) { return message.role == "user"; };
  const auto first = std::find_if(messages.begin(), messages.end(), is_question);
  if (first == messages.end()) return false;
  const auto second = std::find_if(first + 1, messages.end(), is_question);
  if (second == messages.end()) return false;
  messages.erase(first, second);
  return true;
}

Result<void> close_gap(Session& session, std::span<const Token> prompt) {
  constexpr std::size_t worth = 16;  // tokens; fewer are evaluated sooner than moved
  if (!session.can_shift()) return {};
  const auto held = session.tokens();
  const auto keep = static_cast<std::size_t>(
      std::mismatch(prompt.begin(), prompt.end(), held.begin(), held.end()).first - prompt.begin());
  const auto lengths = matches(prompt.subspan(keep), held.subspan(keep));
  const auto best = std::max_element(lengths.begin(), lengths.end());
  if (best == lengths.end() || *best < worth || best == lengths.begin()) return {};
  const auto count = static_cast<std::size_t>(best - lengths.begin());
  if (auto cut = session.truncate(static_cast<int>(keep + count + *best)); !cut) return cut;
  return session.shift(static_cast<int>(keep), static_cast<int>(count));
}

}  // namespace cli
