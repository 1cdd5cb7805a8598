// Owns: the rows of the pre-tokenizer table. Source: the models' published tokenizer.json files (`pre_tokenizer`); the
// names are those of the GGUF converter. Where llama.cpp cuts differently from the original, the rows do as it does, for
// that is what users of GGUF files run: docs/tokenizers.md lists these places.
#include "text/pretokenizers.h"

#include <algorithm>
#include <array>

namespace strata::text {

namespace {

/// The parts one after the other, as one text of static storage.
template <const std::string_view&... parts>
struct Joined {
  static constexpr auto chars = [] {
    std::array<char, (parts.size() + ...)> out{};
    std::size_t at = 0;
    for (std::string_view part : {parts...})
      for (char c : part) out[at++] = c;
    return out;
  }();
  static constexpr std::string_view view{chars.data(), chars.size()};
};
template <const std::string_view&... parts>
constexpr std::string_view joined = Joined<parts...>::view;

// Parts of patterns. A part that begins with | goes on from another.
constexpr std::string_view contractions = R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))";
constexpr std::string_view optional = "?";
constexpr std::string_view alternative = "|";
constexpr std::string_view lead = R"([^\r\n\p{L}\p{N}]?)";  // one character that goes with the word behind it
constexpr std::string_view letters = R"(\p{L}+)";
constexpr std::string_view letters_and_marks = R"([\p{L}\p{M}]+)";
constexpr std::string_view one_number = R"(|\p{N})";
constexpr std::string_view numbers = R"(|\p{N}+)";
constexpr std::string_view three_numbers = R"(|\p{N}{1,3})";
constexpr std::string_view punctuation = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)";
constexpr std::string_view punctuation_slash = R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)";
constexpr std::string_view newlines = R"(|\s*[\r\n]+)";
// `\s+(?!\S)` takes a run of white space up to the character before the next word.
constexpr std::string_view spaces = R"(|\s+(?!\S)|\s+)";

constexpr std::string_view gpt_2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view llama_3_pattern =
    joined<contractions, alternative, lead, letters, three_numbers, punctuation, newlines, spaces>;
constexpr std::string_view qwen_2_pattern =
    joined<contractions, alternative, lead, letters, one_number, punctuation, newlines, spaces>;
constexpr std::string_view qwen_35_punctuation = R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)";
constexpr std::string_view qwen_35_pattern =
    joined<contractions, alternative, lead, letters_and_marks, one_number, qwen_35_punctuation, newlines, spaces>;
constexpr std::string_view jais_2_spaces =
    R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S))"
    R"(|\s{1,2}(?!\S)|\s)";
constexpr std::string_view jais_2_pattern =
    joined<contractions, alternative, lead, letters, three_numbers, punctuation, newlines, jais_2_spaces>;
constexpr std::string_view no_contractions_pattern = joined<lead, letters, one_number, punctuation, newlines, spaces>;
constexpr std::string_view all_numbers_pattern =
    joined<contractions, alternative, lead, letters, numbers, punctuation, newlines, spaces>;
constexpr std::string_view seed_coder_punctuation = R"(| ?[^\s\p{L}\p{N}\r\n]+)";
constexpr std::string_view seed_coder_pattern =
    joined<contractions, alternative, lead, letters, one_number, seed_coder_punctuation, newlines, spaces>;
constexpr std::string_view one_newline = R"(|\s*[\r\n])";
constexpr std::string_view bailing_pattern =
    joined<contractions, alternative, lead, letters, one_number, punctuation, one_newline, spaces>;
constexpr std::string_view exaone_moe_words = R"((?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+)";
constexpr std::string_view exaone_moe_punctuation = R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?)";
constexpr std::string_view exaone_moe_pattern =
    joined<contractions, alternative, lead, exaone_moe_words, one_number, exaone_moe_punctuation, one_newline, spaces>;

// o200k: words end where lower case turns to upper case. U is every letter but a-z, L every letter but A-Z.
constexpr std::string_view upper_lower = R"((?:(?![a-z])\p{L})*(?:(?![A-Z])\p{L})+)";
constexpr std::string_view uppers_lower = R"((?:(?![a-z])\p{L})+(?:(?![A-Z])\p{L})*)";
constexpr std::string_view gpt_4o_pattern =
    joined<lead, upper_lower, contractions, optional, alternative, lead, uppers_lower, contractions, optional,
           three_numbers, punctuation_slash, newlines, spaces>;
constexpr std::string_view tekken_pattern = joined<lead, upper_lower, alternative, lead, uppers_lower, one_number,
                                                   punctuation_slash, newlines, spaces>;
constexpr std::string_view marked_upper_lower = R"((?:(?![a-z])[\p{L}\p{M}])*(?:(?![A-Z])[\p{L}\p{M}])+)";
constexpr std::string_view marked_uppers_lower = R"((?:(?![a-z])[\p{L}\p{M}])+(?:(?![A-Z])[\p{L}\p{M}])*)";
constexpr std::string_view granite_multi_pattern =
    joined<lead, marked_upper_lower, contractions, optional, alternative, lead, marked_uppers_lower, contractions,
           optional, three_numbers, punctuation_slash, newlines, spaces>;
constexpr std::string_view tiny_aya_pattern =
    joined<lead, letters_and_marks, contractions, optional, three_numbers, punctuation_slash, newlines, spaces>;
constexpr std::string_view youtu_pattern =
    joined<lead, letters_and_marks, contractions, optional, one_number, punctuation_slash, newlines, spaces>;

// Kimi K2: Han characters apart, and no part of other words.
constexpr std::string_view han =
    R"([\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF}\x{2F800}-\x{2FA1F}])";
constexpr std::string_view kimi_start = "+|";
constexpr std::string_view kimi_not = "(?:(?!";
constexpr std::string_view kimi_letters = R"()\p{L})+)";
constexpr std::string_view kimi_k2_pattern =
    joined<han, kimi_start, lead, kimi_not, han, kimi_letters, contractions, optional, three_numbers, punctuation, newlines,
           spaces>;

constexpr std::string_view deepseek_words =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)";
constexpr std::string_view any_newlines = R"([\r\n]*)";
constexpr std::string_view newline = R"(|[\r\n])";
constexpr std::string_view deepseek_3_pattern = joined<deepseek_words, any_newlines, newlines, spaces>;
constexpr std::string_view spark_pattern = joined<deepseek_words, newline, spaces>;
constexpr std::string_view cjk_pattern = R"([\x{3040}-\x{30FF}\x{4E00}-\x{9FA5}]+)";
// The letters with case, as of Unicode 11.
constexpr std::string_view deepseek_letters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373})"
    R"(\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481})"
    R"(\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45})"
    R"(\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE})"
    R"(\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
    R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E})"
    R"(\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F})"
    R"(\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)";
constexpr std::string_view deepseek_marks = R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3001}\x{3002}]+)";
constexpr std::string_view deepseek_cjk = R"((?:(?!\s)[\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}])+)";

constexpr std::string_view youtu_cjk =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C})"
    R"(\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr std::string_view afmoe_scripts =
    R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{8C48}-\x{FAFF}\x{3040}-\x{30FF}\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF}\x{E40}-\x{EFF})"
    R"(\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F}\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)";
constexpr std::string_view poro_pattern = R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";

constexpr Cut gpt_2[] = {{gpt_2_pattern}};
constexpr Cut llama_3[] = {{llama_3_pattern}};
constexpr Cut qwen_2[] = {{qwen_2_pattern}};
constexpr Cut qwen_35[] = {{qwen_35_pattern}};
constexpr Cut jais_2[] = {{jais_2_pattern}};
constexpr Cut ufakzeka[] = {{no_contractions_pattern}};
constexpr Cut minicpm_5[] = {{R"(\p{N}{1,3})"}, {all_numbers_pattern}};
constexpr Cut seed_coder[] = {{seed_coder_pattern}};
constexpr Cut bailing[] = {{bailing_pattern}};
constexpr Cut exaone_moe[] = {{exaone_moe_pattern}};
constexpr Cut gpt_4o[] = {{gpt_4o_pattern}};
constexpr Cut tekken[] = {{tekken_pattern}};
constexpr Cut granite_multi[] = {{granite_multi_pattern}};
constexpr Cut tiny_aya[] = {{{}, DigitGroups::around}, {tiny_aya_pattern}};
constexpr Cut youtu[] = {{youtu_cjk}, {youtu_pattern}};
constexpr Cut kimi_k2[] = {{kimi_k2_pattern}};
constexpr Cut deepseek_llm[] = {{R"([\r\n])"}, {deepseek_letters}, {deepseek_marks}, {R"(\s+\z)"}, {deepseek_cjk}, {R"(\p{N}+)"}};
constexpr Cut deepseek_coder[] = {{R"([\r\n])"}, {R"(\s?\p{L}+)"}, {R"(\s?\p{P}+)"}, {deepseek_cjk}, {R"(\p{N})"}};
constexpr Cut deepseek_3[] = {{R"(\p{N}{1,3})"}, {cjk_pattern}, {deepseek_3_pattern}};
constexpr Cut spark[] = {{R"(\p{N}{1,3})"}, {cjk_pattern}, {spark_pattern}, {R"(\p{N})"}};
constexpr Cut afmoe[] = {{{}, DigitGroups::behind}, {afmoe_scripts}, {deepseek_3_pattern}};
constexpr Cut falcon[] = {{R"([\p{P}\$\+<=>\^~\|`]+)"}, {gpt_2_pattern}, {"[0-9][0-9][0-9]"}};
constexpr Cut default_cuts[] = {{R"([\p{P}\$\+<=>\^~\|]+)"}, {gpt_2_pattern}, {R"(\p{N}+)"}, {"[0-9][0-9][0-9]"}};
constexpr Cut starcoder[] = {{R"(\p{N})"}, {gpt_2_pattern}};
constexpr Cut poro[] = {{poro_pattern}};
constexpr Cut viking[] = {{poro_pattern}, {R"(\p{N})"}};
constexpr Cut chameleon[] = {{"<sentinel:[0-9]+>"}, {"IMGIMG[A-I]{1,4}Z"}, {R"([\t\n]|    |  )"}, {R"(\p{N})"},
                             {R"([\p{P}!-/:-@\[-`{-~])"}, {gpt_2_pattern}};
constexpr Cut superbpe[] = {{R"(\p{N}+)"}, {{}, DigitGroups::before}};
constexpr Cut laguna[] = {{R"([^\n]+|\n+)"}, {qwen_2_pattern}};
constexpr Cut lines[] = {{R"([^\n]+|\n+)"}};

/// Decoding cleans spaces unless the row says not to, as the format's first tokenizers did.
constexpr PreTokenizer clean(std::string_view name, std::span<const Cut> cuts) {
  return {.name = name, .cuts = cuts, .clean_spaces = true};
}
constexpr PreTokenizer plain(std::string_view name, std::span<const Cut> cuts) { return {.name = name, .cuts = cuts}; }
constexpr PreTokenizer whole(PreTokenizer row) {
  row.ignore_merges = true;
  return row;
}
constexpr PreTokenizer with_bos(PreTokenizer row) {
  row.add_bos = true;
  return row;
}
constexpr PreTokenizer spelt(PreTokenizer row, Spelling spelling) {
  row.spelling = spelling;
  return row;
}
constexpr PreTokenizer gemma(std::string_view name) {
  PreTokenizer row = with_bos(spelt(clean(name, lines), Spelling::marked));
  row.whole_newlines = row.force_bos = true;
  return row;
}
constexpr PreTokenizer llama(std::string_view name) { return with_bos(whole(clean(name, llama_3))); }

constexpr PreTokenizer table[] = {
    clean("default", default_cuts),
    llama("llama-bpe"), llama("llama3"), llama("llama-v3"), llama("falcon3"), llama("falcon-h1"), llama("pixtral"),
    llama("midm-2.0"), llama("lfm2"), llama("jina-v5-nano"),
    clean("dbrx", llama_3), clean("smaug-bpe", llama_3), clean("glm4", llama_3), clean("chatglm-bpe", llama_3),
    plain("qwen2", qwen_2), plain("deepseek-r1-qwen", qwen_2), plain("kormo", qwen_2), plain("f2llmv2", qwen_2),
    plain("hunyuan", qwen_2), plain("solar-open", qwen_2), plain("grok-2", qwen_2), clean("stablelm2", qwen_2),
    clean("megrez", qwen_2), plain("qwen35", qwen_35),
    plain("gpt-4o", gpt_4o), plain("llama4", gpt_4o), plain("kanana2", gpt_4o), plain("talkie", gpt_4o),
    plain("minimax-m2", gpt_4o), with_bos(whole(plain("tekken", tekken))),
    whole(plain("granite-embed-multi-97m", granite_multi)), plain("tiny_aya", tiny_aya), plain("cohere2moe", tiny_aya),
    whole(plain("youtu", youtu)), plain("kimi-k2", kimi_k2),
    plain("deepseek-llm", deepseek_llm), plain("deepseek-coder", deepseek_coder), plain("deepseek-v3", deepseek_3),
    plain("hunyuan-dense", deepseek_3), plain("joyai-llm", deepseek_3), plain("hy_v4", deepseek_3),
    plain("spark2_5", spark), plain("afmoe", afmoe),
    clean("gpt-2", gpt_2), clean("phi-2", gpt_2), clean("jina-es", gpt_2), clean("jina-de", gpt_2),
    clean("gigachat", gpt_2), clean("jina-v2-es", gpt_2), clean("jina-v2-de", gpt_2), clean("a.x-4.0", gpt_2),
    clean("mellum", gpt_2), clean("modern-bert", gpt_2), clean("jina-v1-en", gpt_2), clean("jina-v2-code", gpt_2),
    clean("roberta-bpe", gpt_2), clean("exaone4", gpt_2), clean("mpt", gpt_2), clean("olmo", gpt_2), clean("jais", gpt_2),
    plain("trillion", gpt_2), plain("granite-docling", gpt_2),
    clean("starcoder", starcoder), clean("refact", starcoder), plain("command-r", starcoder), plain("smollm", starcoder),
    clean("codeshell", starcoder), clean("exaone", starcoder), clean("minerva-7b", starcoder), clean("mellum2", starcoder),
    clean("falcon", falcon), with_bos(plain("chameleon", chameleon)), clean("jais-2", jais_2),
    clean("exaone-moe", exaone_moe), plain("bailingmoe", bailing), plain("bailingmoe2", bailing),
    plain("llada-moe", bailing), plain("seed-coder", seed_coder), plain("ufakzeka", ufakzeka),
    whole(clean("minicpm5", minicpm_5)), plain("laguna", laguna), plain("superbpe", superbpe),
    plain("poro-chat", poro), clean("bloom", poro), clean("gpt3-finnish", poro), plain("viking", viking),
    gemma("gemma4"), gemma("granite-embed-multi-311m"), spelt(plain("sarvam-moe", lines), Spelling::marked),
};

}  // namespace

const PreTokenizer* find_pretokenizer(std::string_view name) {
  if (name.empty()) name = "default";
  auto row = std::find_if(std::begin(table), std::end(table), [name](const PreTokenizer& r) { return r.name == name; });
  return row == std::end(table) ? nullptr : row;
}

std::span<const PreTokenizer> pretokenizers() { return table; }

std::string pretokenizer_names() {
  std::string out;
  for (const PreTokenizer& row : table) (out += out.empty() ? "" : ", ") += row.name;
  return out;
}

}  // namespace strata::text
