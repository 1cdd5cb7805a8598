// Owns: Model::embed: one vector for a text. Knows sessions.
#include <cmath>

#include "base/text.h"
#include "runtime/state.h"

namespace strata {

Pooling Model::pooling() const {
  const runtime::Engine& engine = *state_->engine;
  const gguf::Value* value = engine.file().find(engine.blueprint().architecture + ".pooling_type");
  switch (value ? value->as_unsigned().value_or(0) : 0) {  // numbers of the GGUF specification; 0: none, 4: rank
    case 2: return Pooling::cls;
    case 3: return Pooling::last;
    default: return Pooling::mean;
  }
}

Result<std::vector<float>> Model::embed(std::span<const Token> tokens, const EmbedOptions& options) const {
  if (tokens.empty()) return fail(ErrorCode::invalid_argument, "embed: the text has no token; give at least one");
  constexpr std::size_t kMaxTokens = std::size_t{1} << 28;
  if (tokens.size() > kMaxTokens) return fail(ErrorCode::invalid_argument, "embed: more than ", kMaxTokens, " tokens");
  SessionOptions session_options;
  session_options.context = static_cast<int>(tokens.size());
  session_options.max_snapshots = 0;  // it never goes back
  auto session = Session::create(*this, session_options);
  if (!session) return session.error();
  if (auto adapted = session->set_adapters(options.adapters); !adapted) return adapted.error();

  const Pooling how = options.pooling.value_or(pooling());
  const int last = static_cast<int>(tokens.size()) - 1;
  std::vector<double> sum(static_cast<std::size_t>(state_->engine->embedding()), 0.0);
  auto evaluated = session->evaluate(tokens, {}, [&](int position, std::span<const float> hidden) {
    if ((how == Pooling::cls && position != 0) || (how == Pooling::last && position != last)) return;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(hidden[i]);
  });
  if (!evaluated) return evaluated.error();

  double square = 0;
  if (how == Pooling::mean)
    for (double& x : sum) x /= static_cast<double>(tokens.size());
  for (double x : sum) square += x * x;
  const double factor = options.normalize && square > 0 ? 1 / std::sqrt(square) : 1.0;
  std::vector<float> out;
  for (double x : sum) out.push_back(static_cast<float>(x * factor));
  return out;
}

}  // namespace strata
