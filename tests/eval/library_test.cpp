#include "eval/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::eval {
namespace {

using testing::ElementsAre;

TEST(Book, IsCutIntoSentencesAndParagraphs) {
  const Book b = parse_book(
      "A licence.\n*** START OF THE BOOK ***\n\nCHAPTER I\n\n"
      "\xE2\x80\x9CIt was late,\xE2\x80\x9D said Mr. Gray.  He went\nhome to St. Ives. \"Why?\" "
      "I asked him there.\n\n"
      "The second paragraph is long enough \xE2\x80\x94 I hope \xE2\x80\x94 for prose.\n\n"
      "*** END OF THE BOOK ***\nMore licence.",
      "x");
  EXPECT_THAT(b.sentences,
              ElementsAre("\"It was late,\" said Mr. Gray. ", "He went home to St. Ives. ",
                          "\"Why?\" ", "I asked him there.\n\n",
                          "The second paragraph is long enough - I hope - for "
                          "prose.\n\n"));
}

TEST(Book, TakesAnyBytes) {
  std::string bytes;
  for (int i = 0; i < 4096; ++i) bytes += static_cast<char>(i * 37 % 256);
  EXPECT_NO_THROW(parse_book(bytes, "x"));
  EXPECT_TRUE(parse_book("", "x").sentences.empty());
}

TEST(Book, GivesItsPeopleOtherNames) {
  Book b;
  for (int i = 0; i < 30; ++i) {
    b.sentences.push_back("Then Ahabson saw Ishmaelo, and Ahabson's dog. ");
    b.sentences.push_back("The sea and Tuesday were there. ");
  }
  Random random(1);
  rename_characters(b, random);
  for (const std::string& s : b.sentences) {
    EXPECT_EQ(s.find("Ahabson"), std::string::npos);
    EXPECT_EQ(s.find("Ishmaelo"), std::string::npos);
  }
  // One to one, wherever it stands.
  const std::string& s = b.sentences[0];
  const std::string first = s.substr(5, s.find(' ', 5) - 5);
  EXPECT_NE(s.find(" " + first + "'s dog"), std::string::npos) << s;
}

TEST(Library, ReadsAFolderOfBooks) {
  const test::TempDir folder;
  EXPECT_THROW(Library::from_folder(folder.path()), Error);
  EXPECT_THROW(Library::from_folder(folder.file("none")), Error);
  std::string text;
  for (int i = 0; i < 60; ++i) text += "This is sentence number " + std::to_string(i) + " of it. ";
  test::write_file(folder.file("b.txt"), text);
  test::write_file(folder.file("a.txt"), text + text);
  test::write_file(folder.file("c.md"), text);
  const Library library = Library::from_folder(folder.path());
  ASSERT_EQ(library.books().size(), 2u);
  EXPECT_EQ(library.books()[0].name, "a");
  EXPECT_FALSE(library.generated());
}

TEST(ProseStream, DoesNotChangeWhenMoreIsDrawn) {
  const Library generated;
  Library books({parse_book("", "empty")});
  Book book;
  for (int i = 0; i < 80; ++i) book.sentences.push_back("Sentence " + std::to_string(i) + ". ");
  books = Library({book, book});
  for (const Library* library : {&generated, static_cast<const Library*>(&books)}) {
    ProseStream a(*library, Random(5)), b(*library, Random(5)), c(*library, Random(6));
    const std::vector<std::string> few(a.first(10).begin(), a.first(10).end());
    const auto many = b.first(1000);
    EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
    EXPECT_FALSE(std::equal(few.begin(), few.end(), c.first(10).begin()));
  }
}

TEST(Library, ReadsWholeBooks) {
  FATHOM_NEEDS_SHARED("corpus/books");
  const Library library = Library::from_folder(*test::shared("corpus/books"));
  EXPECT_GE(library.books().size(), 10u);
  for (const Book& b : library.books()) {
    EXPECT_GT(b.sentences.size(), 300u) << b.name;
    size_t characters = 0;
    for (const std::string& s : b.sentences) {
      characters += s.size();
      for (const char c : s) ASSERT_TRUE(static_cast<unsigned char>(c) < 0x80);
      EXPECT_EQ(s.find("Project Gutenberg"), std::string::npos) << s;
    }
    const double mean = double(characters) / double(b.sentences.size());
    EXPECT_TRUE(mean > 40 && mean < 250) << b.name << " " << mean;
  }
}

}  // namespace
}  // namespace fathom::eval
