// Owns: a conversation as `strata chat` keeps it: its messages, what goes first when they outgrow the context, and the file
// that holds them beside the saved session. Knows JSON and the public API.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "strata/strata.h"

namespace cli {

struct Conversation {
  std::vector<strata::Message> messages;  ///< perhaps a system text; then questions and answers in turn
  strata::LocalTime now;                  ///< what templates are told for as long as it lasts
};

/// The file of the messages that belongs to a session's.
std::string messages_path(const std::string& session);
/// Errors: bad_file, naming what is wrong; those of reading.
strata::Result<Conversation> read_conversation(const std::string& path);
/// The file appears when it is complete.
strata::Result<void> write_conversation(const std::string& path, const Conversation& conversation);

/// Takes the oldest question and its answers out; false where that is the last question.
bool forget_oldest_turn(std::vector<strata::Message>& messages);

/// Where `prompt` is what the session holds with a piece taken out, takes it out (Session::shift), so that what comes after
/// it is not evaluated again. Leaves the session as it is where the model cannot do that, or little would be saved.
strata::Result<void> close_gap(strata::Session& session, std::span<const strata::Token> prompt);

}  // namespace cli
