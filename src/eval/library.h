// Running text for contexts: books that a user names, or prose from our own grammar.
//
// A sentence carries what stands behind it: a space, or an empty line at a paragraph's end. Text is
// ASCII: quotes and dashes of books are converted.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/random.h"

namespace fathom::eval {

struct Book {
  std::string name;  // of its file
  std::vector<std::string> sentences;
};

// Licence header and footer removed, hard-wrapped lines joined, blanks collapsed, cut into
// sentences. Text may be anything; what is not UTF-8 is left out.
Book parse_book(std::string_view text, std::string name);

// Gives the most frequent names of the book's people to people of our own list, one to one, so that
// nothing can be answered from memory.
void rename_characters(Book& book, Random& random);

class Library {
 public:
  // Prose from the grammar.
  Library() = default;
  // Every *.txt of a folder. Throws Error(kBadFile) where there is none, or no prose in them.
  static Library from_folder(const std::string& folder);
  explicit Library(std::vector<Book> books) : books_(std::move(books)) {}

  bool generated() const { return books_.empty(); }
  const std::vector<Book>& books() const { return books_; }

 private:
  std::vector<Book> books_;
};

// An endless text. Books are read on from a random sentence, one after the other; what was drawn
// does not change when more is drawn.
class ProseStream {
 public:
  // REQUIRES: the library outlives the stream.
  ProseStream(const Library& library, Random random) : library_(library), random_(random) {}

  // The first n sentences. Valid until more are drawn.
  std::span<const std::string> first(size_t n);
  const std::string& at(size_t i) { return first(i + 1)[i]; }

 private:
  void extend();

  const Library& library_;
  Random random_;
  std::vector<std::string> sentences_;
  const Book* book_ = nullptr;
  size_t next_ = 0, since_paragraph_ = 0;
};

// One sentence of the grammar, without what stands behind it.
std::string prose_sentence(Random& random);

}  // namespace fathom::eval
