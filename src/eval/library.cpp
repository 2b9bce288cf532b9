#include "eval/library.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "engine/text_file.h"
#include "eval/score/text.h"
#include "eval/task/words.h"
#include "text/utf8.h"

namespace fathom::eval {
namespace {

// A book with less is no text to hide anything in.
constexpr size_t kFewestSentences = 50;

// The ASCII that stands for a character; "" for those that are left out.
std::string ascii_of(char32_t code) {
  if (code < 0x80) return code == '\r' ? "" : std::string(1, static_cast<char>(code));
  switch (code) {
    case 0x2018:
    case 0x2019:
      return "'";
    case 0x201C:
    case 0x201D:
      return "\"";
    case 0x2013:
    case 0x2014:
    case 0x2015:
      return " - ";
    case 0x2026:
      return "...";
    case 0xA0:
      return " ";
    default:
      return "";
  }
}

std::string to_ascii(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const text::Utf8Char c = text::decode_utf8(text);
    if (c.status == text::Utf8Status::kValid) out += ascii_of(c.code);
    text.remove_prefix(c.length);
  }
  return out;
}

// What stands between the marker lines of a public-domain library, where they are there.
std::string_view without_licence(std::string_view text) {
  const size_t start = text.find("*** START OF");
  if (start != std::string_view::npos) {
    text.remove_prefix(std::min(text.find('\n', start), text.size()));
  }
  const size_t end = text.find("*** END OF");
  return text.substr(0, end);
}

// Paragraphs, each on one line with single blanks.
std::vector<std::string> paragraphs(std::string_view text) {
  std::vector<std::string> out(1);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string_view> words = split(text.substr(0, end), " \t\v\f_*");
    if (words.empty() && !out.back().empty()) out.emplace_back();
    for (const std::string_view w : words) {
      if (!out.back().empty()) out.back() += ' ';
      out.back() += w;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

// Whether a word that ends in a full stop is short for another.
bool abbreviated(std::string_view word) {
  static const std::set<std::string_view> kKnown = {
      "Mr",   "Mrs", "Ms", "Dr", "St",  "Rev", "Hon", "Col", "Gen", "Capt", "Lt",
      "Prof", "Sr",  "Jr", "No", "Vol", "vs",  "etc", "i.e", "e.g", "Esq",  "Messrs"};
  while (!word.empty() && (word[0] == '"' || word[0] == '\'' || word[0] == '(')) {
    word.remove_prefix(1);
  }
  return kKnown.count(word) > 0 || (word.size() == 1 && is_upper(word[0]));
}

bool ends_sentence(std::string_view paragraph, size_t space) {
  size_t mark = space;
  while (mark > 0 && (paragraph[mark - 1] == '"' || paragraph[mark - 1] == '\'' ||
                      paragraph[mark - 1] == ')')) {
    --mark;
  }
  if (mark == 0 || std::string_view(".!?").find(paragraph[mark - 1]) == std::string_view::npos) {
    return false;
  }
  size_t next = space + 1;
  while (next < paragraph.size() && (paragraph[next] == '"' || paragraph[next] == '\'')) ++next;
  if (next >= paragraph.size() || !is_upper(paragraph[next])) return false;
  if (paragraph[mark - 1] != '.') return true;
  const size_t before = paragraph.rfind(' ', mark - 1);
  const size_t begin = before == std::string_view::npos ? 0 : before + 1;
  return !abbreviated(paragraph.substr(begin, mark - 1 - begin));
}

void append_sentences(std::string_view paragraph, std::vector<std::string>& out) {
  size_t begin = 0;
  for (size_t i = 0; i < paragraph.size(); ++i) {
    if (paragraph[i] != ' ' || !ends_sentence(paragraph, i)) continue;
    out.emplace_back(paragraph.substr(begin, i + 1 - begin));
    begin = i + 1;
  }
  out.push_back(std::string(paragraph.substr(begin)) + "\n\n");
}

// Headings, tables and lists of contents: too short, or hardly any small letters.
bool is_prose(std::string_view paragraph) {
  const auto small = std::count_if(paragraph.begin(), paragraph.end(),
                                   [](char c) { return c >= 'a' && c <= 'z'; });
  return paragraph.size() >= 40 && double(small) >= 0.5 * double(paragraph.size());
}

bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }

// Calls fn(begin, end) for every word of letters.
template <class Fn>
void each_word(std::string_view text, Fn fn) {
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && is_letter(text[end])) ++end;
    if (end > i) fn(i, end);
    i = std::max(end, i + 1);
  }
}

// Words that begin with a capital inside sentences, at least 20 times, and never without it.
std::vector<std::string> frequent_names(const Book& book) {
  std::map<std::string, size_t, std::less<>> capital;
  std::set<std::string, std::less<>> small;
  for (const std::string& s : book.sentences) {
    each_word(s, [&](size_t begin, size_t end) {
      const std::string word = s.substr(begin, end - begin);
      if (!is_upper(word[0]))
        small.insert(word);
      else if (begin > 1 && s[begin - 1] == ' ' && is_letter(s[begin - 2]))
        ++capital[word];
    });
  }
  std::vector<std::pair<size_t, std::string>> found;
  for (const auto& [word, count] : capital) {
    if (word.size() < 3 || count < 20 || small.count(lower(word)) > 0) continue;
    found.emplace_back(count, word);
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min<size_t>(found.size(), 40); ++i) out.push_back(found[i].second);
  return out;
}

}  // namespace

Book parse_book(std::string_view text, std::string name) {
  Book book;
  book.name = std::move(name);
  for (const std::string& p : paragraphs(to_ascii(without_licence(text)))) {
    if (is_prose(p)) append_sentences(p, book.sentences);
  }
  return book;
}

void rename_characters(Book& book, Random& random) {
  std::vector<std::string_view> names(first_names().begin(), first_names().end());
  random.shuffle(names);
  std::map<std::string, std::string_view, std::less<>> renamed;
  for (const std::string& name : frequent_names(book)) {
    if (renamed.size() < names.size()) renamed.emplace(name, names[renamed.size()]);
  }
  for (std::string& s : book.sentences) {
    std::string out;
    size_t done = 0;
    each_word(s, [&](size_t begin, size_t end) {
      const auto it = renamed.find(std::string_view(s).substr(begin, end - begin));
      if (it == renamed.end()) return;
      out += s.substr(done, begin - done);
      out += it->second;
      done = end;
    });
    s = out + s.substr(done);
  }
}

Library Library::from_folder(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<fs::path> files;
  for (const fs::directory_entry& e : fs::directory_iterator(folder, error)) {
    if (e.path().extension() == ".txt") files.push_back(e.path());
  }
  if (error) throw bad_file(folder, "{}", error.message());
  std::sort(files.begin(), files.end());  // the order of a folder is not defined
  std::vector<Book> books;
  for (const fs::path& f : files) {
    Book book = parse_book(engine::read_text_file(f.string()), f.stem().string());
    Random random(seed_of(book.name));
    rename_characters(book, random);
    if (book.sentences.size() >= kFewestSentences) books.push_back(std::move(book));
  }
  if (books.empty()) {
    throw with_hint(bad_file(folder, "holds no book"),
                    "--books takes a folder of plain-text books (*.txt)");
  }
  return Library(std::move(books));
}

std::span<const std::string> ProseStream::first(size_t n) {
  while (sentences_.size() < n) extend();
  return std::span(sentences_).first(n);
}

void ProseStream::extend() {
  if (library_.generated()) {
    const bool paragraph = ++since_paragraph_ >= 7;
    if (paragraph) since_paragraph_ = 0;
    sentences_.push_back(prose_sentence(random_) + (paragraph ? "\n\n" : " "));
    return;
  }
  if (!book_ || next_ == book_->sentences.size()) {
    book_ = &random_.pick(library_.books());
    next_ = random_.below(book_->sentences.size() / 2);
  }
  sentences_.push_back(book_->sentences[next_++]);
}

}  // namespace fathom::eval
