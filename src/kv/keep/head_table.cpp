#include "kv/keep/head_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/mapped_file.h"

namespace fathom::kv {
namespace {

constexpr size_t kMost = 1024;  // layers, and kv heads of a layer

std::string_view next_piece(std::string_view& text, std::string_view separators) {
  const size_t begin = std::min(text.find_first_not_of(separators), text.size());
  text.remove_prefix(begin);
  const size_t end = std::min(text.find_first_of(separators), text.size());
  const std::string_view piece = text.substr(0, end);
  text.remove_prefix(end);
  return piece;
}

std::vector<float> read_row(std::string_view line, size_t number, std::string_view where) {
  std::vector<float> row;
  for (auto word = next_piece(line, "\t "); !word.empty(); word = next_piece(line, "\t ")) {
    float gate = 0;
    const auto end = std::from_chars(word.data(), word.data() + word.size(), gate);
    if (end.ec != std::errc{} || end.ptr != word.data() + word.size() || !std::isfinite(gate)) {
      throw bad_file(where, "line {}, value {} is not a number", number, row.size() + 1);
    }
    row.push_back(std::clamp(gate, 0.0f, 1.0f));
    if (row.size() > kMost) throw bad_file(where, "line {} has over {} values", number, kMost);
  }
  return row;
}

class TableBudget final : public Budget {
 public:
  TableBudget(const HeadTable& table, double sparsity, Window window)
      : layers_(table.layers()),
        kv_heads_(table.kv_heads()),
        full_(table.full_heads(sparsity)),
        window_(window) {}

  size_t head_limit(const KeepView& view, size_t kv_head) const override {
    const HeadView& head = view.heads[kv_head];
    if (head.layer >= layers_ || view.heads.size() != kv_heads_) {
      throw usage_error("--kv", "the head table is for {} layers of {} kv heads, not for {} of {}",
                        layers_, kv_heads_, view.layers, view.heads.size());
    }
    if (full_[head.layer * kv_heads_ + kv_head] || head.tokens == 0) return head.tokens;
    const double text = static_cast<double>(head.position(head.tokens - 1)) + 1;
    return window_.sinks + std::max(window_.recent, static_cast<size_t>(text * window_.share));
  }
  void share(const KeepView& view, std::span<const Candidates> heads,
             std::span<size_t> tokens) const override {
    for (size_t h = 0; h < heads.size(); ++h) {
      tokens[h] = std::min(heads[h].tokens, head_limit(view, h));
    }
  }

 private:
  size_t layers_, kv_heads_;
  std::vector<uint8_t> full_;
  Window window_;
};

}  // namespace

HeadTable HeadTable::read(const std::string& path) {
  if (path.empty()) {
    throw with_hint(usage_error("--kv", "'heads' is missing"),
                    "heads=FILE: a table of one line a layer, one number a kv head");
  }
  const MappedFile file(path);
  const std::span<const std::byte> bytes = file.bytes();
  return {std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), path};
}

HeadTable::HeadTable(std::string_view text, std::string_view where) {
  for (auto line = next_piece(text, "\r\n"); !line.empty(); line = next_piece(text, "\r\n")) {
    const std::vector<float> row = read_row(line, layers_ + 1, where);
    if (layers_ == 0) kv_heads_ = row.size();
    if (row.size() != kv_heads_ || row.empty()) {
      throw bad_file(where, "line {} has {} values, line 1 has {}", layers_ + 1, row.size(),
                     kv_heads_);
    }
    gates_.insert(gates_.end(), row.begin(), row.end());
    if (++layers_ > kMost) throw bad_file(where, "there are over {} lines", kMost);
  }
  if (layers_ == 0) throw bad_file(where, "the table is empty");
}

HeadTable::HeadTable(size_t layers, size_t kv_heads, std::vector<float> gates)
    : layers_(layers), kv_heads_(kv_heads), gates_(std::move(gates)) {
  FATHOM_CHECK(!gates_.empty() && gates_.size() == layers_ * kv_heads_);
}

std::vector<uint8_t> HeadTable::full_heads(double sparsity) const {
  std::vector<float> sorted = gates_;
  std::sort(sorted.begin(), sorted.end());
  const double at = std::clamp(sparsity, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const double low = sorted[below], high = sorted[std::min(below + 1, sorted.size() - 1)];
  const double threshold = low + (high - low) * (at - std::floor(at));
  std::vector<uint8_t> full;
  for (const float gate : gates_) full.push_back(static_cast<double>(gate) >= threshold);
  return full;
}

BudgetPtr table_budget(const HeadTable& table, double sparsity, Window window) {
  return std::make_unique<TableBudget>(table, sparsity, window);
}

}  // namespace fathom::kv
