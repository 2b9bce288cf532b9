#include "text/jinja/strftime.h"

#include <locale.h>
#include <time.h>

#include <memory>
#include <type_traits>

namespace fathom::text::jinja {
namespace {

// Fields that callers often leave at zero, worked out from the date.
std::tm completed(const std::tm& given) {
  std::tm out = given;
  out.tm_isdst = 0;
  if (timegm(&out) == -1) return given;
  out.tm_isdst = given.tm_isdst;
  return out;
}

// What Python adds to the C library: %f, and %z and %Z that are empty for a time without a zone.
std::string without_python_directives(const std::string& format) {
  std::string out;
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%' || at + 1 == format.size()) {
      out += format[at];
      continue;
    }
    const char directive = format[++at];
    if (directive == 'f') {
      out += "000000";
    } else if (directive != 'z' && directive != 'Z') {
      out += '%';
      out += directive;
    }
  }
  return out;
}

}  // namespace

std::string formatted_time(Runtime& run, const std::string& format) {
  using Locale = std::unique_ptr<std::remove_pointer_t<locale_t>, void (*)(locale_t)>;
  if (format.find('\0') != std::string::npos) throw failure("a time format holds a null character");
  const Locale english(newlocale(LC_ALL_MASK, "C", nullptr), freelocale);
  if (english == nullptr) throw failure("the C locale is not available");
  const std::tm time = completed(run.now());
  // The mark at the end tells an empty result from one that did not fit.
  const std::string marked = without_python_directives(format) + ".";
  constexpr size_t kLongestDirective = 64;
  std::string out(marked.size() * kLongestDirective, '\0');
  run.check_text(out.size());
  const size_t size = strftime_l(out.data(), out.size(), marked.c_str(), &time, english.get());
  if (size == 0) throw failure("strftime_now() cannot format '{}'", format);
  out.resize(size - 1);
  return out;
}

}  // namespace fathom::text::jinja
