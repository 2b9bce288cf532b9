#include "kv/head_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/mapped_file.h"
#include "file/quoted_name.h"

namespace fathom::kv {
namespace {

constexpr size_t kMostBytes = 16u << 20;

bool separates(char c) { return c == ' ' || c == '\t' || c == ',' || c == '\r'; }

class TableParser {
 public:
  TableParser(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  HeadTable parse() {
    if (text_.size() > kMostBytes) {
      throw bad_file(source_, "is {} bytes long; at most {} are read", text_.size(), kMostBytes);
    }
    while (!text_.empty()) {
      const size_t end = std::min(text_.find('\n'), text_.size());
      ++line_;
      if (text_[0] != '#') read_line(text_.substr(0, end));
      text_.remove_prefix(std::min(end + 1, text_.size()));
    }
    if (table_.values.empty()) throw bad_file(source_, "holds no line of numbers");
    return std::move(table_);
  }

 private:
  void read_line(std::string_view line) {
    const size_t before = table_.values.size();
    while (true) {
      while (!line.empty() && separates(line.front())) line.remove_prefix(1);
      if (line.empty()) break;
      const auto end =
          static_cast<size_t>(std::find_if(line.begin(), line.end(), separates) - line.begin());
      table_.values.push_back(read_number(line.substr(0, end)));
      line.remove_prefix(end);
    }
    const size_t heads = table_.values.size() - before;
    if (heads == 0) return;
    if (table_.kv_heads == 0) table_.kv_heads = heads;
    if (heads != table_.kv_heads) {
      throw bad_file(source_, "line {} has {} numbers, the first has {}", line_, heads,
                     table_.kv_heads);
    }
  }

  float read_number(std::string_view word) const {
    float value = 0;
    const auto end = std::from_chars(word.data(), word.data() + word.size(), value);
    if (end.ec != std::errc{} || end.ptr != word.data() + word.size() || !std::isfinite(value)) {
      throw bad_file(source_, "line {} has {} where a number is expected", line_,
                     file::quoted_name(word));
    }
    return std::clamp(value, 0.0f, 1.0f);
  }

  std::string_view text_;
  const std::string& source_;
  size_t line_ = 0;
  HeadTable table_;
};

double quantile(std::vector<float> values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace

HeadTable parse_head_table(std::string_view text, const std::string& source) {
  return TableParser(text, source).parse();
}

HeadTable read_head_table(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return parse_head_table({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

std::vector<uint8_t> full_heads(const HeadTable& table, double share) {
  const bool plain = std::all_of(table.values.begin(), table.values.end(),
                                 [](float v) { return v == 0.0f || v == 1.0f; });
  const double threshold = plain ? 0.5 : quantile(table.values, share);
  std::vector<uint8_t> full;
  for (const float v : table.values) full.push_back(v >= threshold);
  return full;
}

}  // namespace fathom::kv
