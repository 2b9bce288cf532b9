// The functions that every template can call.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

constexpr Case kFunctions[] = {
    {"{{ range(3) }}", "range(0, 3)"},
    {"{{ range(5)[1:3] }}", "range(1, 3)"},
    {"{{ range(5)[-1] }}", "4"},
    {"{{ 2 in range(3) }}", "True"},
    {"{{ range(3) == range(0,3) }}", "True"},
    {"{{ range(1,10,2) }}", "range(1, 10, 2)"},
    {"{{ range(3,0) }}", "range(3, 0)"},
    {"{{ dict(a=1,b=2) }}", "{'a': 1, 'b': 2}"},
    {"{{ dict([('a',1)]) }}", "{'a': 1}"},
    {"{{ dict({'a':1},b=2) }}", "{'a': 1, 'b': 2}"},
    {"{{ namespace(a=1).a }}", "1"},
    {"{{ namespace(a=1).b }}", ""},
    {"{{ namespace(a=1) }}", "<Namespace {'a': 1}>"},
    {"{{ namespace({'x':1}).x }}", "1"},
    {"{{ namespace(a=1)['a'] }}", "1"},
    {"{{ cycler('a','b').next() }}", "a"},
    {"{{ joiner()() }}", ""},
    {"{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"},
    {"{{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %p %f %z|%Z %% %-d %U') }}",
     "2024-07-26 12:00:00 Friday July 208 PM 000000 | % 26 29"},
    {"{{ namespace().__init__ }}", ""},
    {"{{ dict(a=1,) }}", "{'a': 1}"},
    {"{{ dict(x=1, **{'y': 2}) }}", "{'x': 1, 'y': 2}"},
    {"{{ dict(**{'y': 2}) }}", "{'y': 2}"},
    {"{{ namespace(**{'q': 5}).q }}", "5"},
    {"{{ cycler(*[1,2]).next() }}", "1"},
    {"{{ joiner('; ')() }}", ""},
};

constexpr BadCase kFunctionsErrors[] = {
    {"{{ range(100001) }}",
     "chat template:1:9: a range of 100001 numbers is too long; at most 100000 are allowed"},
    {"{{ range(1,2,0) }}", "chat template:1:9: range() arg 3 must not be zero"},
};

TEST(TemplateGlobals, Functions) { expect_renders(kFunctions); }
TEST(TemplateGlobals, FunctionsErrors) { expect_fails(kFunctionsErrors); }

}  // namespace
}  // namespace fathom::text::test
