// Megabytes a second, on one core, that each vocabulary at hand reads and writes.
//
// The text is the books of the folder `shared` beside the checkout and the vocabularies are its
// published ones; without it, generated text and the bundled model's vocabulary.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "engine/load_vocab.h"
#include "file/checkpoint.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

const std::string kShared = FATHOM_SOURCE_DIR "/../shared/";
const std::string kBundled = FATHOM_SOURCE_DIR "/models/fathom-tiny-f16.gguf";

std::vector<std::string> files_in(const std::string& folder, const std::string& extension) {
  std::vector<std::string> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == extension) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string generated_text() {
  std::mt19937 rng(1);
  std::string text;
  while (text.size() < (4u << 20)) {
    for (size_t n = 1 + rng() % 9; n > 0; --n) text += static_cast<char>('a' + rng() % 26);
    text += rng() % 12 == 0 ? ". " : " ";
  }
  return text;
}

const std::string& book_text() {
  static const std::string text = [] {
    std::ostringstream all;
    for (const std::string& book : files_in(kShared + "corpus/books", ".txt")) {
      all << std::ifstream(book, std::ios::binary).rdbuf();
    }
    return all.str().empty() ? generated_text() : all.str();
  }();
  return text;
}

void encode(benchmark::State& state, const std::string& gguf) {
  const auto t =
      text::Tokenizer::create(engine::load_vocab(file::Checkpoint::open(gguf).metadata()));
  size_t tokens = 0;
  for (auto _ : state) tokens = t->encode(book_text()).size();
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * book_text().size()));
  state.counters["bytes_per_token"] =
      static_cast<double>(book_text().size()) / static_cast<double>(tokens);
}

void decode(benchmark::State& state, const std::string& gguf) {
  const auto t =
      text::Tokenizer::create(engine::load_vocab(file::Checkpoint::open(gguf).metadata()));
  const auto ids = t->encode(book_text());
  for (auto _ : state) benchmark::DoNotOptimize(t->decode(ids).size());
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * book_text().size()));
}

void create(benchmark::State& state, const std::string& gguf) {
  const text::VocabData vocab = engine::load_vocab(file::Checkpoint::open(gguf).metadata());
  for (auto _ : state) benchmark::DoNotOptimize(text::Tokenizer::create(vocab)->size());
}

void register_all() {
  std::vector<std::string> vocabularies = files_in(kShared + "reference/tokenizer", ".gguf");
  vocabularies.push_back(kBundled);
  for (const std::string& gguf : vocabularies) {
    const std::string name = fs::path(gguf).stem().string();
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), encode, gguf)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("decode/" + name).c_str(), decode, gguf)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("create/" + name).c_str(), create, gguf)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  fathom::register_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
