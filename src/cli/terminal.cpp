#include "cli/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdio>

#include "base/memory.h"

namespace fathom::cli {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void on_interrupt(int) {
  if (g_interrupted != 0) _exit(130);
  g_interrupted = 1;
}

std::string duration(double seconds) {
  if (seconds < 60) return fmt::format("{:.0f} s", seconds);
  if (seconds < 3600)
    return fmt::format("{:.0f} min {:02.0f} s", std::floor(seconds / 60), std::fmod(seconds, 60.0));
  return fmt::format("{:.0f} h {:02.0f} min", std::floor(seconds / 3600),
                     std::fmod(seconds, 3600.0) / 60);
}

std::string amount(double n, std::string_view unit) {
  return unit == "bytes" ? human_bytes(n) : fmt::format("{} {}", grouped(size_t(n)), unit);
}

}  // namespace

bool stdin_is_terminal() { return isatty(STDIN_FILENO) != 0; }
bool stdout_is_terminal() { return isatty(STDOUT_FILENO) != 0; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) != 0; }

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);  // no SA_RESTART: a waiting read returns
}
bool interrupted() { return g_interrupted != 0; }
void clear_interrupt() { g_interrupted = 0; }

bool ProgressLine::operator()(const ProgressUpdate& u) {
  const auto now = Clock::now();
  if (phase_ != u.phase || u.done < first_) {
    phase_ = u.phase;
    start_ = shown_ = now;
    first_ = u.done;
  }
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const bool due = now - shown_ > std::chrono::milliseconds(100);
  if (stderr_is_terminal() && elapsed > 0.5 && due && u.total > 0) {
    const double rate = double(u.done - first_) / elapsed;
    std::string line =
        fmt::format("{} {:>3.0f}%  {} of {}", u.phase, 100.0 * double(u.done) / double(u.total),
                    amount(double(u.done), u.unit), amount(double(u.total), u.unit));
    if (rate > 0) {
      if (u.unit != "s") line += fmt::format("  {}/s", amount(rate, u.unit));
      line += fmt::format("  {} left", duration(double(u.total - u.done) / rate));
    }
    fmt::print(stderr, "\r{}\x1b[K", line);
    std::fflush(stderr);
    shown_ = now;
    visible_ = true;
  }
  if (u.done >= u.total) clear();
  return !interrupted();
}

void ProgressLine::clear() {
  if (visible_) fmt::print(stderr, "\r\x1b[K");
  visible_ = false;
}

std::string grouped(size_t n) {
  std::string digits = std::to_string(n);
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string price_line(const Price& p) {
  std::string line =
      fmt::format("read {} tokens in {:.2f} s", grouped(p.prompt_tokens), p.prompt_seconds);
  if (p.prompt_speed() > 0) line += fmt::format(" ({:.0f} tok/s)", p.prompt_speed());
  if (p.prompt_read < 1) line += fmt::format(" by {:.0f}% of attention", 100 * p.prompt_read);
  line += fmt::format(", first token after {:.2f} s, wrote {}", p.time_to_first_token,
                      grouped(p.generated_tokens));
  if (p.generate_speed() > 0) line += fmt::format(" at {:.1f} tok/s", p.generate_speed());
  line +=
      fmt::format("; cache {} for {} tokens, {:.0f}% of keys read", human_bytes(double(p.kv_bytes)),
                  grouped(p.context_tokens), 100 * p.keys_read);
  return line;
}

Json price_json(const Price& p) {
  return {{"prompt_tokens", p.prompt_tokens},
          {"prompt_seconds", p.prompt_seconds},
          {"prompt_tokens_per_second", p.prompt_speed()},
          {"time_to_first_token_seconds", p.time_to_first_token},
          {"generated_tokens", p.generated_tokens},
          {"generate_seconds", p.generate_seconds},
          {"generated_tokens_per_second", p.generate_speed()},
          {"context_tokens", p.context_tokens},
          {"kv_bytes", p.kv_bytes},
          {"prompt_read_share", p.prompt_read},
          {"keys_read_share", p.keys_read}};
}

std::string_view reason_name(StopReason reason) {
  constexpr std::string_view kNames[] = {"end", "stop_string", "max_tokens", "context_full",
                                         "interrupted"};
  return kNames[static_cast<size_t>(reason)];
}

std::string printable(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    const bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;  // U+0080 to U+009F
    out += c < 0x20 || c == 0x7f || c1 ? fmt::format("\\x{:02x}", c) : std::string(1, text[i]);
  }
  return out;
}

void print_json(const Json& json) {
  print_now(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void print_now(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace fathom::cli
