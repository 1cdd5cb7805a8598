// Owns: the smallest program that writes text: hello MODEL.gguf [PROMPT]. Knows the public API.
#include <iostream>

#include "strata/strata.h"

int main(int argc, char** argv) try {
  auto model = strata::Model::load(argc > 1 ? argv[1] : "model.gguf").value_or_throw();
  if (model.tokenizer_error()) throw strata::Exception(*model.tokenizer_error());
  auto prompt = model.tokenizer()->encode(argc > 2 ? argv[2] : "Once upon a time").value_or_throw();
  auto session = strata::Session::create(model).value_or_throw();
  strata::Sampler sampler;
  auto print = [](strata::Token, std::string_view text) { return static_cast<bool>(std::cout << text << std::flush); };
  session.generate(prompt, sampler, {}, print).value_or_throw();
} catch (const strata::Exception& error) {
  return std::cerr << error.what() << "\n", 1;
}
