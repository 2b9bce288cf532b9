// Methods of str, dict, list and float.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

constexpr Case kSplit[] = {
    {"{{ 'a,b,,c'.split(',') }}", "['a', 'b', '', 'c']"},
    {"{{ 'a b  c '.split() }}", "['a', 'b', 'c']"},
    {"{{ ' a b  c '.split(none,1) }}", "['a', 'b  c ']"},
    {"{{ 'a,b,c'.split(',',1) }}", "['a', 'b,c']"},
    {"{{ 'a,b,c'.split(',',maxsplit=1) }}", "['a', 'b,c']"},
    {"{{ 'a,b,c'.rsplit(',',1) }}", "['a,b', 'c']"},
    {"{{ ' a b  c '.rsplit(none,1) }}", "[' a b', 'c']"},
    {"{{ 'aXXbXXXc'.rsplit('XX') }}", "['a', 'bX', 'c']"},
    {"{{ 'aXXbXXXc'.split('XX') }}", "['a', 'b', 'Xc']"},
    {"{{ ''.split() }}", "[]"},
    {"{{ ''.split(',') }}", "['']"},
    {"{{ ''.splitlines() }}", "[]"},
    {"{{ '-'.join(['a','b']) }}", "a-b"},
    {"{{ '-'.join('abc') }}", "a-b-c"},
    {"{{ '-'.join([]) }}", ""},
    {"{{ 'a-b-c'.partition('-') }}", "('a', '-', 'b-c')"},
    {"{{ 'a-b-c'.rpartition('-') }}", "('a-b', '-', 'c')"},
    {"{{ 'abc'.partition('-') }}", "('abc', '', '')"},
    {"{{ 'abc'.rpartition('-') }}", "('', '', 'abc')"},
    {R"({{ 'a b\u00a0c\u2003d'.split() }})", "['a', 'b', 'c', 'd']"},
    {"{{ 'a.b.c'.split('.')[1] }}", "b"},
    {"{{ 'aXbX'.rpartition('X') }}", "('aXb', 'X', '')"},
    {"{{ 'a,b'.split(sep=',') }}", "['a', 'b']"},
    {"{{ 'x'.join({'a':1,'b':2}) }}", "axb"},
    {R"({{ '<think>a</think>b'.split('</think>')[-1].lstrip('\n') }})", "b"},
    {"{{ '<think>a</think>b'.split('</think>')[0].split('<think>')[-1] }}", "a"},
};

constexpr BadCase kSplitErrors[] = {
    {"{{ 'a'.split('') }}", "chat template:1:13: empty separator"},
    {"{{ '-'.join([1]) }}",
     "chat template:1:12: sequence item 0: expected str instance, int found"},
};

constexpr Case kStripAndPad[] = {
    {"{{ '  ab '.strip() }}", "ab"},         {"{{ 'xxabxx'.strip('x') }}", "ab"},
    {"{{ 'xyabyx'.lstrip('xy') }}", "abyx"}, {"{{ 'xyabyx'.rstrip('xy') }}", "xyab"},
    {"{{ 'ab'.strip('') }}", "ab"},          {"{{ 'abc'.removeprefix('a') }}", "bc"},
    {"{{ 'abc'.removesuffix('c') }}", "ab"}, {"{{ 'abc'.removesuffix('') }}", "abc"},
    {"{{ '5'.zfill(3) }}", "005"},           {"{{ '-5'.zfill(4) }}", "-005"},
    {"{{ '+5'.zfill(4) }}", "+005"},         {"{{ 'abc'.zfill(2) }}", "abc"},
    {"{{ 'a'.ljust(3)+'|' }}", "a  |"},      {"{{ 'a'.rjust(3,'*') }}", "**a"},
    {"{{ 'a'.center(4,'*') }}", "*a**"},     {"{{ 'ab'.center(5,'*') }}", "**ab*"},
    {"{{ 'é'.ljust(3,'é') }}", "ééé"},       {"{{ 'é'.center(4,'ü') }}", "üéüü"},
};

constexpr Case kFind[] = {
    {"{{ 'abc'.startswith('a') }}", "True"},
    {"{{ 'abc'.startswith(('x','a')) }}", "True"},
    {"{{ 'abc'.startswith('b',1) }}", "True"},
    {"{{ 'abc'.startswith('',4) }}", "False"},
    {"{{ 'abc'.endswith('c') }}", "True"},
    {"{{ 'abc'.endswith('b',0,2) }}", "True"},
    {"{{ 'abc'.endswith(('x','c')) }}", "True"},
    {"{{ 'abc'.find('c') }}", "2"},
    {"{{ 'abc'.find('z') }}", "-1"},
    {"{{ 'abcabc'.rfind('b') }}", "4"},
    {"{{ 'abcabc'.find('b',2) }}", "4"},
    {"{{ 'éaéb'.find('b') }}", "3"},
    {"{{ 'éaéb'.rfind('é') }}", "2"},
    {"{{ 'abcabc'.count('b') }}", "2"},
    {"{{ 'aaaa'.count('aa') }}", "2"},
    {"{{ 'abc'.count('') }}", "4"},
    {"{{ 'abc'.find('',3) }}", "3"},
    {"{{ 'abc'.find('',4) }}", "-1"},
    {"{{ 'abc'.rfind('') }}", "3"},
    {"{{ [1,2,1].count(1) }}", "2"},
    {"{{ [1,2,1].index(2) }}", "1"},
    {"{{ (1,2).count(1) }}", "1"},
    {"{{ l.index(1) + l.count(3) }}", "2"},
};

constexpr BadCase kFindErrors[] = {
    {"{{ 'abc'.index('z') }}", "chat template:1:15: substring not found"},
    {"{{ [1,2,1].index(5) }}", "chat template:1:17: 5 is not in list"},
};

constexpr Case kCase[] = {
    {"{{ uni.title() }}", "Àéß Fi İstanbul Ας Σ"},
    {"{{ uni.swapcase() }}", "àéSS FI i̇STANBUL ας σ"},
    {"{{ 'ΑΣ ΣΑΣ. Σ'.lower() }}", "ας σας. σ"},
    {"{{ '123'.isdigit() }}", "True"},
    {"{{ '²'.isdigit() }}", "True"},
    {"{{ '²'.isdecimal() }}", "False"},
    {"{{ '½'.isnumeric() }}", "True"},
    {"{{ 'abc'.isalpha() }}", "True"},
    {"{{ 'ab1'.isalnum() }}", "True"},
    {"{{ ''.isalpha() }}", "False"},
    {"{{ 'ABC'.isupper() }}", "True"},
    {"{{ 'ABc'.isupper() }}", "False"},
    {"{{ 'abc'.islower() }}", "True"},
    {"{{ 'a1'.islower() }}", "True"},
    {"{{ '1'.islower() }}", "False"},
    {R"({{ ' \t'.isspace() }})", "True"},
    {"{{ 'Hello World'.istitle() }}", "True"},
    {"{{ 'Hello world'.istitle() }}", "False"},
    {"{{ 'abc'.isascii() }}", "True"},
    {"{{ 'é'.isascii() }}", "False"},
    {"{{ 'abc'.isprintable() }}", "True"},
    {"{{ 'hello world'.title() }}", "Hello World"},
    {R"({{ "they're bill's".title() }})", "They'Re Bill'S"},
    {"{{ 'hello'.capitalize() }}", "Hello"},
    {"{{ 'Hello'.swapcase() }}", "hELLO"},
    {"{{ 'ß'.upper() }}", "SS"},
    {"{{ 'ß'.casefold() }}", "ss"},
    {"{{ 'ŉ'.upper() }}", "ʼN"},
    {"{{ 'ﬁ'.title() }}", "Fi"},
    {"{{ 'ǆ'.title() }}", "ǅ"},
    {"{{ 'ΌΣΟΣ'.lower() }}", "όσος"},
    {"{{ 'ÿ'.upper() }}", "Ÿ"},
    {"{{ 'µ'.upper() }}", "Μ"},
    {"{{ 'ǅ'.lower() }}", "ǆ"},
    {"{{ 'ﬀ'.upper() }}", "FF"},
    {"{{ 'ᾳ'.upper() }}", "ΑΙ"},
    {"{{ 'ᾳ'.title() }}", "ᾼ"},
    {"{{ 'abc'.upper().lower().title() }}", "Abc"},
    {"{{ 'ﬀﬁ'.casefold() }}", "fffi"},
    {"{{ 'İ'.lower() }}", "i̇"},
    {"{{ 'ῼ'.title() }}", "ῼ"},
    {"{{ 'ΣΑΣ'.title() }}", "Σας"},
    {"{{ 'ΑΣ1'.lower() }}", "ας1"},
    {R"({{ "Α'Σ".lower() }})", "α'ς"},
    {"{{ 'ᾼ'.swapcase() }}", "ᾼ"},
    {"{{ '٣'.isdigit() }}", "True"},
    {"{{ '①'.isdigit() }}", "True"},
    {"{{ '一'.isnumeric() }}", "True"},
    {"{{ 'ª'.islower() }}", "True"},
    {"{{ 'Ⅷ'.isupper() }}", "True"},
    {"{{ '_a1'.isalnum() }}", "False"},
};

constexpr Case kOfContainers[] = {
    {"{{ d.get('a') }}", "2"},
    {"{{ d.get('zz') }}", "None"},
    {"{{ d.get('zz','def') }}", "def"},
    {"{{ d.items() }}", "dict_items([('b', 1), ('a', 2), ('c', None), ('items', 'x')])"},
    {"{{ d.keys() }}", "dict_keys(['b', 'a', 'c', 'items'])"},
    {"{{ d.values() }}", "dict_values([1, 2, None, 'x'])"},
    {"{{ [1,2].copy() }}", "[1, 2]"},
    {"{{ {'a':1}.copy() }}", "{'a': 1}"},
    {"{{ 1.5.is_integer() }}", "False"},
    {"{{ (2.0).is_integer() }}", "True"},
};

constexpr BadCase kOfContainersErrors[] = {
    {"{{ [1,2].append(3) }}",
     "chat template:1:16: access to attribute 'append' of 'list' object is unsafe."},
    {"{{ {'a':1}.update({}) }}",
     "chat template:1:18: access to attribute 'update' of 'dict' object is unsafe."},
    {"{{ d.pop('a') }}",
     "chat template:1:9: access to attribute 'pop' of 'dict' object is unsafe."},
};

TEST(TemplateMethods, Split) { expect_renders(kSplit); }
TEST(TemplateMethods, SplitErrors) { expect_fails(kSplitErrors); }
TEST(TemplateMethods, StripAndPad) { expect_renders(kStripAndPad); }
TEST(TemplateMethods, Find) { expect_renders(kFind); }
TEST(TemplateMethods, FindErrors) { expect_fails(kFindErrors); }
TEST(TemplateMethods, Case) { expect_renders(kCase); }
TEST(TemplateMethods, OfContainers) { expect_renders(kOfContainers); }
TEST(TemplateMethods, OfContainersErrors) { expect_fails(kOfContainersErrors); }

}  // namespace
}  // namespace fathom::text::test
