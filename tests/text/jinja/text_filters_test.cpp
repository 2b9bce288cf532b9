// Filters on text.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

constexpr Case kText[] = {
    {"{{ s|upper }}", R"(HELLO, WÖRLD! IT'S <B>BOLD</B> & "Q")"},
    {"{{ s|lower }}", R"(hello, wörld! it's <b>bold</b> & "q")"},
    {"{{ s|title }}", R"(Hello, Wörld! It's <B>bold</b> & "q")"},
    {"{{ s|capitalize }}", R"(Hello, wörld! it's <b>bold</b> & "q")"},
    {"{{ uni|upper }}", "ÀÉSS FI İSTANBUL ΑΣ Σ"},
    {"{{ uni|lower }}", "àéß ﬁ i̇stanbul ας σ"},
    {"{{ uni|title }}", "Àéß FI İstanbul Ασ Σ"},
    {"{{ uni|capitalize }}", "Àéß ﬁ i̇stanbul ας σ"},
    {"{{ s|trim }}", R"(Hello, Wörld! it's <b>bold</b> & "q")"},
    {"{{ '  x '|trim }}", "x"},
    {"{{ 'xxaxx'|trim('x') }}", "a"},
    {"{{ s|replace('l','L') }}", R"(HeLLo, WörLd! it's <b>boLd</b> & "q")"},
    {"{{ s|replace('l','L',1) }}", R"(HeLlo, Wörld! it's <b>bold</b> & "q")"},
    {"{{ s|replace('','-') }}",
     R"(-H-e-l-l-o-,- -W-ö-r-l-d-!- -i-t-'-s- -<-b->-b-o-l-d-<-/-b->- -&- -"-q-"-)"},
    {"{{ 'aaa'|replace('a','b',2) }}", "bba"},
    {"{{ 123|replace(2,'x') }}", "1x3"},
    {"{{ s|wordcount }}", "8"},
    {"{{ text|indent }}", "line one\n    line two\n\n      indented\n    last"},
    {"{{ text|indent(2) }}", "line one\n  line two\n\n    indented\n  last"},
    {"{{ text|indent(2,true) }}", "  line one\n  line two\n\n    indented\n  last"},
    {"{{ text|indent(2,true,true) }}", "  line one\n  line two\n  \n    indented\n  last"},
    {"{{ text|indent(2,blank=true) }}", "line one\n  line two\n  \n    indented\n  last"},
    {"{{ text|indent('> ') }}", "line one\n> line two\n\n>   indented\n> last"},
    {"{{ text|indent(first=true) }}", "    line one\n    line two\n\n      indented\n    last"},
    {"{{ ''|indent }}", ""},
    {"{{ ''|indent(first=true) }}", "    "},
    {"{{ 'foo bar baz qux'|truncate(9) }}", "foo..."},
    {"{{ 'foo bar baz qux'|truncate(9,true) }}", "foo ba..."},
    {"{{ 'foo bar baz qux'|truncate(11) }}", "foo bar baz qux"},
    {"{{ 'foo bar baz qux'|truncate(11,false,'...',0) }}", "foo bar..."},
    {"{{ 'foobarbazqux'|truncate(5,leeway=0) }}", "fo..."},
    {"{{ 'x'|center(5) }}", "  x  "},
    {"{{ 'xy'|center(5) }}", "  xy "},
    {"{{ 'x'|center(4) }}", " x  "},
    {"{{ 'x'|center }}",
     "                                       x                                        "},
    {R"({{ "they're bill's"|title }})", "They're Bill's"},
    {"{{ 'foo-bar (baz) [qux] {a} <b>'|title }}", "Foo-Bar (Baz) [Qux] {A} <B>"},
    {"{{ 'a%20b c/d?e=f&é'|urlencode }}", "a%2520b%20c/d%3Fe%3Df%26%C3%A9"},
    {"{{ {'a b':'c&d','e':1}|urlencode }}", "a+b=c%26d&e=1"},
    {"{{ [('a',1),('b c','/')]|urlencode }}", "a=1&b+c=%2F"},
    {"{{ 5|urlencode }}", "5"},
    {"{{ [missing]|string }}", "[Undefined]"},
    {"{{ missing|string }}", ""},
    {"{{ missing|upper }}", ""},
    {"{{ 1.0|string }}", "1.0"},
    {"{{ 'Ünïcödé'|urlencode }}", "%C3%9Cn%C3%AFc%C3%B6d%C3%A9"},
    {R"({{ '\u00a0x\u3000'|trim }})", "x"},
    {"{{ 'a' 'b'|upper }}", "AB"},
    {"{{ 'a-b_c d'|title }}", "A-B_c D"},
    {R"({{ "don't stop"|capitalize }})", "Don't stop"},
    {"{{ 'x'|default('y')|upper }}", "X"},
    {"{{ [1,[2,[3]]]|string }}", "[1, [2, [3]]]"},
    {"{{ (1,)|string }}", "(1,)"},
};

constexpr BadCase kTextErrors[] = {
    {"{{ 2**3|string }}",
     "chat template:1:5: unsupported operand type(s) for ** or pow(): 'int' and 'str'"},
};

TEST(TemplateTextFilters, Text) { expect_renders(kText); }
TEST(TemplateTextFilters, TextErrors) { expect_fails(kTextErrors); }

}  // namespace
}  // namespace fathom::text::test
