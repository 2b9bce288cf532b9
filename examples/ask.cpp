// Reads a document once and answers questions about it: ask MODEL DOCUMENT QUESTION...
#include <fathom/fathom.h>

#include <cstdio>
#include <string>
#include <string_view>

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s MODEL DOCUMENT QUESTION...\n", argv[0]);
    return 2;
  }
  fathom::ModelOptions options;
  options.threads = 2;
  const fathom::Model model = fathom::Model::load(argv[1], options);

  fathom::Session document(model);
  document.feed_file(argv[2]);

  fathom::GenerateOptions generate;
  generate.max_tokens = 64;
  for (int i = 3; i < argc; ++i) {
    fathom::Session session = document.fork();  // shares what was read
    const fathom::Reply reply = session.ask(argv[i], generate, [](std::string_view text) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      return true;
    });
    std::printf("\n  [%zu tokens read, %zu written]\n", reply.price.prompt_tokens,
                reply.price.generated_tokens);
  }
  return 0;
} catch (const fathom::Error& error) {
  std::fprintf(stderr, "error: %s\nhint: %s\n", error.what(), error.hint().c_str());
  return 1;
}
