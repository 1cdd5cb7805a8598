// Owns: the tokenizer benchmark: how long a vocabulary takes to load, and megabytes of text a second. It makes its own
// vocabularies of 262144 tokens of every kind, and of bytes for every way to cut a text, or takes GGUF files. Processor
// time of one core, the best of several rounds.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "gguf/file.h"
#include "gguf/writer.h"
#include "runtime/vocabulary.h"
#include "text/pretokenizers.h"
#include "text/tokenizer.h"

namespace {

using namespace strata;

constexpr std::size_t vocabulary_size = 262144, merge_count = 515000;
const std::string mark = "\xE2\x96\x81";

double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Words of an invented language, the frequent ones short.
std::vector<std::string> invented_words(std::mt19937& random, std::size_t count) {
  static const char* const syllables[] = {"an", "be", "co", "de", "er", "fi", "ga", "he", "in", "jo", "ka", "li", "ma", "ne", "or",
                                          "pe", "qui", "ra", "st", "th", "un", "ve", "wi", "xi", "yo", "za", "ing", "ion", "ed", "s"};
  std::vector<std::string> out;
  std::unordered_set<std::string> known;
  while (out.size() < count) {
    std::string word;
    for (std::size_t n = 1 + random() % (1 + std::min<std::size_t>(7, out.size() / 20)); n > 0; --n)
      word += syllables[random() % std::size(syllables)];
    if (known.insert(word).second) out.push_back(word);
  }
  return out;
}

/// Words by Zipf's law, with some punctuation, numbers and line ends.
std::string invented_text(std::mt19937& random, const std::vector<std::string>& words, std::size_t bytes) {
  std::string out;
  std::uniform_real_distribution<double> uniform(0, 1);
  while (out.size() < bytes) {
    auto rank = static_cast<std::size_t>(std::pow(static_cast<double>(words.size()), uniform(random))) - 1;
    auto sign = random() % 20;
    out += ' ';
    out += words[std::min(rank, words.size() - 1)];
    if (sign == 0) out += ".\n";
    if (sign < 3) out += ',';
    if (sign == 3) out += " " + std::to_string(random() % 3000);
  }
  return out;
}

/// GPT-2's spelling of a space.
const std::string space = "\xC4\xA0";

struct Kind {
  const char* model;
  bool merges;        ///< pairs, in place of scores
  std::string start;  ///< of a word behind a space
};

/// A vocabulary like Gemma's: control tokens, bytes, signs, then the words and what they grow from, letter by letter.
/// `words` loses those that find no place.
gguf::Writer invented_vocabulary(std::vector<std::string>& words, const Kind& kind, const std::string& pre) {
  const bool bytes = kind.model == std::string("gpt2");
  std::vector<std::string> tokens{"<pad>", "<eos>", "<bos>", "<unk>"};
  std::vector<std::int32_t> types{3, 3, 3, 2};
  for (int byte = 0; byte < 256 && !bytes; ++byte) {
    char spelling[8];
    std::snprintf(spelling, sizeof spelling, "<0x%02X>", byte);
    tokens.push_back(spelling);
    types.push_back(6);
  }
  std::vector<std::string> pairs;
  std::unordered_set<std::string> known;
  auto add = [&](const std::string& text) {
    if (known.insert(text).second) tokens.push_back(text);
  };
  for (char c = 33; c < 127; ++c) add(std::string(1, c));
  if (bytes) add("\xC4\x8A");  // the line feed
  if (!kind.start.empty()) add(kind.start);
  std::size_t placed = 0;
  for (; placed < words.size() && tokens.size() + 40 < vocabulary_size; ++placed) {
    std::string word = kind.start + words[placed];
    for (std::size_t end = kind.start.size() + 1; end <= word.size(); ++end) {
      if (known.contains(word.substr(0, end))) continue;
      if (end > 1) pairs.push_back(word.substr(0, end - 1) + " " + word[end - 1]);
      add(word.substr(0, end));
    }
  }
  words.resize(placed);
  for (std::size_t i = 0; tokens.size() < vocabulary_size; ++i) add("<unused" + std::to_string(i) + ">");
  // As many merges as Gemma 4 has: of what never comes in the text.
  for (std::size_t i = 0; pairs.size() < merge_count; ++i) pairs.push_back(tokens[300 + i % 200000] + " #" + std::to_string(i));
  types.resize(tokens.size(), 1);
  std::vector<float> scores(tokens.size());
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = -std::log(static_cast<float>(i + 2));
  gguf::Writer writer;
  writer.set("general.architecture", std::string("gemma3"));
  writer.set("tokenizer.ggml.model", std::string(kind.model));
  if (!pre.empty()) writer.set("tokenizer.ggml.pre", pre);
  writer.set("tokenizer.ggml.tokens", tokens);
  if (!kind.merges) writer.set("tokenizer.ggml.scores", scores);
  writer.set("tokenizer.ggml.token_type", types);
  if (kind.merges) writer.set("tokenizer.ggml.merges", pairs);
  writer.set("tokenizer.ggml.bos_token_id", std::uint32_t{2});
  writer.set("tokenizer.ggml.eos_token_id", std::uint32_t{1});
  writer.set("tokenizer.ggml.unknown_token_id", std::uint32_t{3});
  return writer;
}

/// One pre-tokenizer of bytes for each way to cut a text.
std::vector<const text::PreTokenizer*> ways_to_cut() {
  std::vector<const text::PreTokenizer*> out;
  for (const text::PreTokenizer& pre : text::pretokenizers()) {
    const bool known = std::any_of(out.begin(), out.end(), [&](auto other) { return other->cuts.data() == pre.cuts.data(); });
    if (!known && pre.spelling == text::Spelling::bytes) out.push_back(&pre);
  }
  return out;
}

/// False: not measured, with the reason on stderr.
bool measure(const std::string& name, const std::string& path, const std::string& text, const std::string& pre = "") {
  double load = std::numeric_limits<double>::max(), encode = load;
  std::size_t tokens = 0;
  for (int round = 0; round < 3; ++round) {
    double begin = seconds();
    auto file = gguf::File::open(path);
    if (!file) return std::fprintf(stderr, "%s\n", file.error().message.c_str()), false;
    auto vocabulary = read_vocabulary(**file);
    if (!vocabulary) return std::fprintf(stderr, "%s\n", vocabulary.error().message.c_str()), false;
    if (!pre.empty()) vocabulary->pre = pre;
    auto tokenizer = text::Tokenizer::create(std::move(*vocabulary));
    if (!tokenizer) return std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str()), false;
    double ready = seconds();
    auto ids = (*tokenizer)->encode(text);
    if (!ids) return std::fprintf(stderr, "%s\n", ids.error().message.c_str()), false;
    load = std::min(load, ready - begin);
    encode = std::min(encode, seconds() - ready);
    tokens = ids->size();
  }
  std::printf("%-40s load %7.1f ms   encode %6.1f MB/s   %.2f bytes a token\n", name.c_str(), load * 1e3,
              static_cast<double>(text.size()) / 1e6 / encode, static_cast<double>(text.size()) / static_cast<double>(tokens));
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const bool every = argc > 1 && argv[1] == std::string("--every");
  if (argc == 2 || (argc > 1 && argv[1][0] == '-' && !every)) {
    std::printf("usage: bench_tokenizers [[--every] TEXT MODEL.gguf...]\n"
                "without arguments: invented vocabularies and text; --every: with every way to cut a text\n");
    return 2;
  }
  if (argc > 2) {
    const int first = every ? 2 : 1;
    std::ifstream in(argv[first], std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    bool good = !text.empty();
    for (int i = first + 1; i < argc && good; ++i) {
      const std::string name = std::filesystem::path(argv[i]).filename().string();
      if (!every) good = measure(name, argv[i], text);
      else for (const text::PreTokenizer* pre : ways_to_cut()) good = good && measure(std::string(pre->name), argv[i], text, std::string(pre->name));
    }
    return good ? 0 : 1;
  }
  std::mt19937 random(1);
  std::vector<std::string> words = invented_words(random, 120000);
  const std::string path = (std::filesystem::temp_directory_path() / "strata-bench-vocabulary.gguf").string();
  bool good = true;
  auto run = [&](const std::string& name, const Kind& kind, const std::string& pre) {
    if (auto done = invented_vocabulary(words, kind, pre).write(path); !done) {
      std::fprintf(stderr, "%s\n", done.error().message.c_str());
      good = false;
      return;
    }
    good = measure(name, path, invented_text(random, words, std::size_t{2} << 20)) && good;
    std::filesystem::remove(path);
  };
  for (const Kind& kind : {Kind{"llama", false, mark}, Kind{"gemma4", true, mark}, Kind{"t5", false, mark}, Kind{"bert", false, mark},
                           Kind{"rwkv", false, " "}, Kind{"plamo2", false, " "}})
    run(kind.model, kind, "");
  for (const text::PreTokenizer* pre : ways_to_cut())
    run("gpt2, " + std::string(pre->name), {"gpt2", true, space}, std::string(pre->name));
  return good ? 0 : 1;
}
