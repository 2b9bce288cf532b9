// Published vocabularies against the ids that their makers' own tokenizers gave.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <sstream>

#include "engine/load_vocab.h"
#include "file/checkpoint.h"
#include "support/shared_data.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace fathom::text {
namespace {

constexpr const char* kFolder = "reference/tokenizer";

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& gguf) {
  return Tokenizer::create(engine::load_vocab(file::Checkpoint::open(gguf).metadata()));
}

std::vector<std::string> files_in(const char* folder, const std::string& extension) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(*test::shared(folder))) {
    if (entry.path().extension() == extension) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> read_inputs(const std::string& path) {
  const std::string text = test::read_file(path);
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> inputs;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    inputs.push_back(text.substr(at, end - at));
    at = end + separator.size();
  }
  return inputs;
}

std::vector<std::vector<TokenId>> read_outputs(const std::string& path) {
  std::istringstream lines(test::read_file(path));
  std::vector<std::vector<TokenId>> outputs;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    outputs.emplace_back(std::istream_iterator<TokenId>(numbers), std::istream_iterator<TokenId>());
  }
  return outputs;
}

TEST(TokenizerReference, GivesThePublishedIds) {
  FATHOM_NEEDS_SHARED(kFolder);
  size_t checked = 0;
  for (const std::string& gguf : files_in(kFolder, ".gguf")) {
    SCOPED_TRACE(gguf);
    const auto tokenizer = open_tokenizer(gguf);
    const auto inputs = read_inputs(gguf + ".inp");
    const auto outputs = read_outputs(gguf + ".out");
    ASSERT_EQ(inputs.size(), outputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_EQ(tokenizer->encode(inputs[i], {.add = AddSpecial::kNever}), outputs[i])
          << "input " << i << ": '" << inputs[i] << "'";
      ++checked;
    }
  }
  EXPECT_GE(checked, 200u);
}

// Every vocabulary at hand that loses nothing: all published ones but WordPiece, and our own.
std::vector<std::string> lossless_vocabularies() {
  std::vector<std::string> files = {test::bundled_model()};
  for (const std::string& gguf : files_in(kFolder, ".gguf")) files.push_back(gguf);
  return files;
}

TEST(TokenizerReference, BooksSurvive) {
  FATHOM_NEEDS_SHARED(kFolder);
  FATHOM_NEEDS_SHARED("corpus/books");
  const auto books = files_in("corpus/books", ".txt");
  ASSERT_FALSE(books.empty());
  for (const std::string& gguf : lossless_vocabularies()) {
    const auto tokenizer = open_tokenizer(gguf);
    for (const std::string& book : books) {
      const std::string text = test::read_file(book);
      const auto ids = tokenizer->encode(text);
      EXPECT_LT(ids.size(), text.size() / 2) << gguf << " " << book;
      EXPECT_TRUE(tokenizer->decode(ids) == text) << gguf << " " << book;
    }
  }
}

TEST(TokenizerReference, BooksStreamAsTheyDecode) {
  FATHOM_NEEDS_SHARED(kFolder);
  FATHOM_NEEDS_SHARED("corpus/books");
  const std::string text = test::read_file(files_in("corpus/books", ".txt").front());
  for (const std::string& gguf : lossless_vocabularies()) {
    const auto tokenizer = open_tokenizer(gguf);
    Detokenizer detokenizer(*tokenizer);
    std::string streamed;
    for (const TokenId id : tokenizer->encode(text)) streamed += detokenizer.push(id);
    streamed += detokenizer.flush();
    EXPECT_TRUE(streamed == text) << gguf;
  }
}

TEST(BundledModel, ReadsItsOwnSpecialTokens) {
  const auto t = open_tokenizer(test::bundled_model());
  const auto user = t->find("<|user|>"), assistant = t->find("<|assistant|>");
  ASSERT_TRUE(user && assistant);
  const auto ids =
      t->encode("<|user|>What is 12?<|assistant|>", {.special = SpecialTokens::kParse});
  EXPECT_EQ(ids.front(), *user);
  EXPECT_EQ(ids.back(), *assistant);
  EXPECT_EQ(t->decode(ids), "What is 12?");
  EXPECT_FALSE(t->adds_bos());
  EXPECT_TRUE(t->ends_generation(*t->data().eos));
  EXPECT_FALSE(t->ends_generation(*user));
  // Digit by digit, as its pre-tokenizer says: " 12" is never one token.
  const auto digits = t->encode("1234");
  EXPECT_EQ(digits.size(), 4u);
}

TEST(BundledModel, AnyBytesSurvive) {
  const auto t = open_tokenizer(test::bundled_model());
  std::mt19937 rng(8);
  for (int round = 0; round < 500; ++round) {
    std::string text(rng() % 300, '\0');
    for (char& c : text) c = static_cast<char>(rng());
    ASSERT_EQ(t->decode(t->encode(text)), text) << "round " << round;
  }
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(t->decode(t->encode(all)), all);
}

}  // namespace
}  // namespace fathom::text
