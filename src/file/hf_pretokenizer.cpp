#include "file/hf_pretokenizer.h"

#include "base/error.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

// What ByteLevel splits by when it is asked to.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// ASCII punctuation, and what Unicode calls so.
constexpr std::string_view kPunctuation = R"([\p{P}$+<=>^`|~])";

[[noreturn]] void refuse(const JsonView& step, const std::string& what) {
  throw unsupported(step.source(), "{} is {}, which is not known", step.path(), what);
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(\^$.|?*+()[]{}-#/)").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// {"Regex": "..."} or {"String": "..."}
std::string pattern_of(const JsonView& step) {
  const JsonView pattern = step.require("pattern");
  if (const auto regex = pattern.text("Regex")) return *regex;
  return escaped(pattern.require_text("String"));
}

bool replaces_space_by_mark(const JsonView& step) {
  return step.require("pattern").text("String") == " " &&
         step.require_text("content") == kSpaceMark;
}

// The steps of a Sequence, or the one step that stands alone, or none.
std::vector<JsonView> steps_of(const JsonView& tokenizer, const std::string& member,
                               const std::string& list_name) {
  const auto whole = tokenizer.find(member);
  if (!whole) return {};
  if (whole->require_text("type") != "Sequence") return {*whole};
  const JsonView list = whole->require(list_name);
  if (!list.is_array() || list.size() > kMaxSteps) {
    throw bad_file(list.source(), "{} is not a list of at most {} steps", list.path(), kMaxSteps);
  }
  std::vector<JsonView> steps;
  for (size_t i = 0; i < list.size(); ++i) steps.push_back(list.element(i));
  return steps;
}

class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(const JsonView& tokenizer) : tokenizer_(tokenizer) {}

  PreTokenizer read() {
    const std::vector<JsonView> steps = steps_of(tokenizer_, "pre_tokenizer", "pretokenizers");
    for (const JsonView& step : steps) {
      if (step.require_text("type") == "ByteLevel") out_.byte_level = true;
    }
    for (const JsonView& step : steps_of(tokenizer_, "normalizer", "normalizers")) normalize(step);
    for (const JsonView& step : steps) out_.byte_level ? split_bytes(step) : split_marked(step);
    return std::move(out_);
  }

 private:
  void normalize(const JsonView& step) {
    const std::string type = step.require_text("type");
    if (type == "NFC" && out_.byte_level) {
      out_.normalizer = "nfc";
    } else if (type == "Prepend" && !out_.byte_level &&
               step.require_text("prepend") == kSpaceMark) {
      out_.prefix_space = true;
    } else if (type == "Replace" && !out_.byte_level && replaces_space_by_mark(step)) {
      // Every SentencePiece-like vocabulary does so.
    } else {
      refuse(step, "the normalizer " + quoted_name(type));
    }
  }

  void split_bytes(const JsonView& step) {
    if (bytes_spelled_) refuse(step, "a pre-tokenizer after ByteLevel");
    const std::string type = step.require_text("type");
    if (type == "ByteLevel") {
      bytes_spelled_ = true;
      out_.prefix_space = step.flag("add_prefix_space").value_or(true);
      if (step.flag("use_regex").value_or(true)) out_.patterns.emplace_back(kGpt2Pattern);
    } else if (type == "Split") {
      out_.patterns.push_back(pattern_of(step));
      check_behaviour(step);
    } else if (type == "Digits") {
      const bool one_by_one = step.flag("individual_digits").value_or(false);
      out_.patterns.emplace_back(one_by_one ? R"(\p{N})" : R"(\p{N}+)");
    } else if (type == "Punctuation") {
      const std::string behaviour = step.text("behavior").value_or("Isolated");
      if (behaviour != "Isolated" && behaviour != "Contiguous") {
        refuse(step, "Punctuation with the behavior " + quoted_name(behaviour));
      }
      out_.patterns.push_back(std::string(kPunctuation) + (behaviour == "Contiguous" ? "+" : ""));
    } else {
      refuse(step, "the pre-tokenizer " + quoted_name(type));
    }
  }

  // Matches and what is between them both stay. "Removed" with "invert" keeps the matches only; the
  // expressions it is used with match every character, so nothing is between them.
  static void check_behaviour(const JsonView& step) {
    const std::string behaviour = step.require_text("behavior");
    const bool invert = step.flag("invert").value_or(false);
    if ((behaviour == "Isolated" && !invert) || (behaviour == "Removed" && invert)) return;
    refuse(step, fmt::format("a Split with the behavior {}{}", quoted_name(behaviour),
                             invert ? ", inverted" : ""));
  }

  void split_marked(const JsonView& step) {
    const std::string type = step.require_text("type");
    if (type == "Metaspace") {
      const std::string scheme =
          step.text("prepend_scheme")
              .value_or(step.flag("add_prefix_space").value_or(true) ? "always" : "never");
      out_.prefix_space = out_.prefix_space || scheme != "never";
      if (step.flag("split").value_or(true)) refuse(step, "a Metaspace that splits");
      if (step.require_text("replacement") != kSpaceMark) refuse(step, "another mark than U+2581");
    } else if (type == "Split" && step.require("pattern").text("String") == " " &&
               step.require_text("behavior") == "MergedWithPrevious") {
      // After the normalizer there is no space left to split at.
    } else {
      refuse(step, "the pre-tokenizer " + quoted_name(type));
    }
  }

  const JsonView& tokenizer_;
  PreTokenizer out_;
  bool bytes_spelled_ = false;
};

}  // namespace

PreTokenizer read_pretokenizer(const JsonView& tokenizer) {
  return PreTokenizerReader(tokenizer).read();
}

}  // namespace fathom::file
