// Owns: finding the chat templates of a model file. Knows GGUF and the text layer; no engine.
#pragma once

#include "gguf/file.h"
#include "strata/chat.h"

namespace strata::runtime {

/// What ChatTemplate::load does, of an opened file.
Result<ChatTemplate> make_chat_template(const gguf::File& file);

}  // namespace strata::runtime
