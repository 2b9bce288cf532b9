#include "text/jinja/source.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

constexpr size_t kShownColumns = 80;

std::string with_plain_newlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else {
      out += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    }
  }
  return out;
}

// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> above, row(b.size() + 1), below(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    below[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      below[j] = std::min({replaced, row[j] + 1, below[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) below[j] = std::min(below[j], above[j - 2] + 1);
    }
    above = std::exchange(row, below);
  }
  return row[b.size()];
}

}  // namespace

Source::Source(std::string_view text) {
  if (text.size() > kMaxTemplateBytes) {
    throw bad_file("chat template", "{} bytes long, which is more than the {} allowed", text.size(),
                   kMaxTemplateBytes);
  }
  text_ = with_plain_newlines(text);
  if (!text_.empty() && text_.back() == '\n') text_.pop_back();
}

Error Source::error(Position at, const std::string& message, std::string hint,
                    ErrorCode code) const {
  const std::string_view before = std::string_view(text_).substr(0, at);
  const size_t line = static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const size_t column = count_code_points(before.substr(begin)) + 1;
  if (hint.empty()) hint = line_of(at);
  return {code, fmt::format("chat template:{}:{}", line, column), message, std::move(hint)};
}

std::string Source::line_of(Position at) const {
  const std::string_view text = text_;
  const size_t begin = text.substr(0, at).rfind('\n') + 1;  // npos + 1 is 0
  const size_t end = std::min(text.find('\n', at), text.size());
  const std::string_view line = stripped(text.substr(begin, end - begin));
  if (line.empty()) return {};
  const size_t shown = code_point_offset(line, kShownColumns);
  return fmt::format("the line is: {}{}", line.substr(0, shown), shown < line.size() ? "..." : "");
}

std::string nearest_name_hint(std::string_view name, std::span<const std::string_view> candidates) {
  constexpr size_t kLongestName = 40;
  if (name.size() > kLongestName) return {};
  std::string_view best;
  size_t best_distance = std::max<size_t>(name.size() / 3, 1) + 1;
  for (const std::string_view candidate : candidates) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best.empty() ? std::string{} : fmt::format("did you mean '{}'?", best);
}

}  // namespace fathom::text::jinja
