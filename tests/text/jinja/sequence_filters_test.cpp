// Filters on sequences and dicts.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

constexpr Case kSortAndGroup[] = {
    {"{{ l|sort }}", "[1, 2, 3]"},
    {"{{ l|sort(reverse=true) }}", "[3, 2, 1]"},
    {"{{ ['b','A','c']|sort }}", "['A', 'b', 'c']"},
    {"{{ ['b','A','c']|sort(case_sensitive=true) }}", "['A', 'b', 'c']"},
    {"{{ u|sort(attribute='name')|map(attribute='name')|list }}", "['alice', 'Bob', 'Carl']"},
    {"{{ u|sort(attribute='age,name')|map(attribute='name')|list }}", "['alice', 'Bob', 'Carl']"},
    {"{{ u|sort(attribute='addr.city')|map(attribute='addr.city')|list }}",
     "['Oslo', 'rome', 'Rome']"},
    {"{{ u|sort(reverse=true,attribute='age')|map(attribute='name')|list }}",
     "['Bob', 'Carl', 'alice']"},
    {"{{ [none,none]|sort }}", "[None, None]"},
    {"{{ u|groupby('age')|list }}",
     "[(25, [{'name': 'alice', 'age': 25, 'addr': {'city': 'rome'}}]), (30, [{'name': 'Bob', "
     "'age': 30, 'addr': {'city': 'Oslo'}}, {'name': 'Carl', 'age': 30, 'addr': {'city': "
     "'Rome'}}])]"},
    {"{{ u|groupby('addr.city') }}",
     "[('Oslo', [{'name': 'Bob', 'age': 30, 'addr': {'city': 'Oslo'}}]), ('rome', [{'name': "
     "'alice', 'age': 25, 'addr': {'city': 'rome'}}, {'name': 'Carl', 'age': 30, 'addr': {'city': "
     "'Rome'}}])]"},
    {"{{ u|groupby('addr.city',case_sensitive=true) }}",
     "[('Oslo', [{'name': 'Bob', 'age': 30, 'addr': {'city': 'Oslo'}}]), ('Rome', [{'name': "
     "'Carl', 'age': 30, 'addr': {'city': 'Rome'}}]), ('rome', [{'name': 'alice', 'age': 25, "
     "'addr': {'city': 'rome'}}])]"},
    {"{{ u|groupby('zip',default='none') }}",
     "[('none', [{'name': 'Bob', 'age': 30, 'addr': {'city': 'Oslo'}}, {'name': 'alice', 'age': "
     "25, 'addr': {'city': 'rome'}}, {'name': 'Carl', 'age': 30, 'addr': {'city': 'Rome'}}])]"},
    {"{{ (u|groupby('age'))[0].grouper }}", "25"},
    {"{{ (u|groupby('age'))[0].list|length }}", "1"},
    {"{{ l|max }}", "3"},
    {"{{ l|min }}", "1"},
    {"{{ ['b','A']|max }}", "b"},
    {"{{ ['b','A']|min }}", "A"},
    {"{{ []|max }}", ""},
    {"{{ u|max(attribute='age') }}", "{'name': 'Bob', 'age': 30, 'addr': {'city': 'Oslo'}}"},
    {"{{ u|min(attribute='name') }}", "{'name': 'alice', 'age': 25, 'addr': {'city': 'rome'}}"},
    {"{{ l|unique|list }}", "[3, 1, 2]"},
    {"{{ ['a','A','b']|unique|list }}", "['a', 'b']"},
    {"{{ ['a','A','b']|unique(true)|list }}", "['a', 'A', 'b']"},
    {"{{ u|unique(attribute='age')|map(attribute='name')|list }}", "['Bob', 'alice']"},
    {"{{ [1,1.0,true]|unique|list }}", "[1]"},
    {"{{ d|dictsort }}", "[('a', 2), ('b', 1), ('c', None), ('items', 'x')]"},
    {"{{ {'b':1,'A':2}|dictsort }}", "[('A', 2), ('b', 1)]"},
    {"{{ {'b':1,'A':2}|dictsort(true) }}", "[('A', 2), ('b', 1)]"},
    {"{{ {'b':1,'A':2}|dictsort(false,'value') }}", "[('b', 1), ('A', 2)]"},
    {"{{ {'b':1,'A':2}|dictsort(reverse=true) }}", "[('b', 1), ('A', 2)]"},
    {"{{ [3,1]|sort|first }}", "1"},
    {"{{ d.items()|sort(attribute='0')|list }}",
     "[('a', 2), ('b', 1), ('c', None), ('items', 'x')]"},
    {"{{ d|dictsort|map('last')|list }}", "[2, 1, None, 'x']"},
    {"{{ [3,1,2]|sort|list|last }}", "3"},
    {"{{ {'b':[1],'a':[2]}|items|sort|list }}", "[('a', [2]), ('b', [1])]"},
    {"{{ ['10','9']|map('int')|max }}", "10"},
};

constexpr BadCase kSortAndGroupErrors[] = {
    {"{{ [1,'a']|sort }}",
     "chat template:1:12: '<' not supported between instances of 'str' and 'int'"},
    {"{{ d|dictsort(by='value',case_sensitive=true)|first }}",
     "chat template:1:6: '<' not supported between instances of 'str' and 'NoneType'"},
};

constexpr Case kMapAndSelect[] = {
    {"{{ l|map('string')|list }}", "['3', '1', '2']"},
    {"{{ ['a','b']|map('upper')|join }}", "AB"},
    {"{{ u|map(attribute='name')|list }}", "['Bob', 'alice', 'Carl']"},
    {"{{ u|map(attribute='zip',default='?')|list }}", "['?', '?', '?']"},
    {"{{ u|map(attribute='zip')|list }}", "[Undefined, Undefined, Undefined]"},
    {"{{ u|map(attribute='addr.city')|list }}", "['Oslo', 'rome', 'Rome']"},
    {"{{ l|select('odd')|list }}", "[3, 1]"},
    {"{{ l|reject('odd')|list }}", "[2]"},
    {"{{ [0,1,'',none,'a']|select|list }}", "[1, 'a']"},
    {"{{ [0,1,'',none,'a']|reject|list }}", "[0, '', None]"},
    {"{{ l|select('gt',1)|list }}", "[3, 2]"},
    {"{{ l|select('in',[1,2])|list }}", "[1, 2]"},
    {"{{ u|selectattr('age','equalto',30)|map(attribute='name')|list }}", "['Bob', 'Carl']"},
    {"{{ u|rejectattr('age','equalto',30)|map(attribute='name')|list }}", "['alice']"},
    {"{{ u|selectattr('name')|list|length }}", "3"},
    {"{{ u|selectattr('zip')|list }}", "[]"},
    {"{{ u|selectattr('zip','defined')|list }}", "[]"},
    {"{{ messages|selectattr('role','==','user')|list }}", "[{'role': 'user', 'content': 'hi'}]"},
    {"{{ messages|selectattr('tool_calls','undefined')|list|length }}", "2"},
    {"{{ messages|map(attribute='role')|join(',') }}", "user,assistant,tool"},
    {"{{ ['a','b']|map('replace','a','z')|list }}", "['z', 'b']"},
    {"{{ [[1,2],[3,4]]|map('sum')|list }}", "[3, 7]"},
    {"{{ [[1,2],[3,4]]|map('first')|list }}", "[1, 3]"},
    {"{{ ['1','2']|map('int')|sum }}", "3"},
    {"{{ u|map(attribute='age')|select('gt',26)|list }}", "[30, 30]"},
    {"{{ u|map('attr','name')|list }}", "[Undefined, Undefined, Undefined]"},
    {"{{ [{'a':1},{'b':2}]|selectattr('a','defined')|list }}", "[{'a': 1}]"},
    {"{{ [['a',1],['b',2]]|map(attribute=0)|list }}", "['a', 'b']"},
    {"{{ [['a',1],['b',2]]|map(attribute='1')|list }}", "[1, 2]"},
    {"{{ d|items|map('first')|list }}", "['b', 'a', 'c', 'items']"},
    {"{{ d.items()|map('first')|list }}", "['b', 'a', 'c', 'items']"},
    {"{{ [1,2,3]|batch(2)|map('list')|list }}", "[[1, 2], [3]]"},
    {"{{ u|map(attribute='addr')|map(attribute='city')|list }}", "['Oslo', 'rome', 'Rome']"},
    {"{{ [1,2,3,4]|batch(3)|map('join','-')|list }}", "['1-2-3', '4']"},
    {"{{ ['x','Y']|map('lower')|join }}", "xy"},
    {"{{ messages|selectattr('role','in',['user','tool'])|map(attribute='content')|join('+') }}",
     "hi+r"},
    {"{{ messages|rejectattr('tool_calls')|list|length }}", "2"},
    {"{{ messages|selectattr('tool_calls','defined')|first is mapping }}", "True"},
    {"{{ messages|map(attribute='content')|map('upper')|reject('equalto','HI')|list }}",
     "['YO', 'R']"},
    {"{{ 'user' in messages|map(attribute='role') }}", "True"},
    {"{{ range(5)|select('even')|map('string')|join(',') }}", "0,2,4"},
};

constexpr BadCase kMapAndSelectErrors[] = {
    {"{{ ['x']|map('nope')|list }}", "chat template:1:22: no filter named 'nope'"},
    {"{{ ['x']|map|list }}", "chat template:1:14: map requires a filter argument"},
    {"{{ [1]|select('nope')|list }}", "chat template:1:23: no test named 'nope'"},
};

constexpr Case kSequences[] = {
    {"{{ uni|length }}", "19"},
    {"{{ d.keys()|list }}", "['b', 'a', 'c', 'items']"},
    {"{{ d.values()|list }}", "[1, 2, None, 'x']"},
    {"{{ d.items()|list }}", "[('b', 1), ('a', 2), ('c', None), ('items', 'x')]"},
    {"{{ d|items|list }}", "[('b', 1), ('a', 2), ('c', None), ('items', 'x')]"},
    {"{{ d|length }}", "4"},
    {"{{ s|length }}", "36"},
    {"{{ l|sum }}", "6"},
    {"{{ u|sum(attribute='age') }}", "85"},
    {"{{ []|sum }}", "0"},
    {"{{ [[1],[2]]|sum(start=[]) }}", "[1, 2]"},
    {"{{ l|first }}", "3"},
    {"{{ l|last }}", "2"},
    {"{{ []|first }}", ""},
    {"{{ []|last }}", ""},
    {"{{ 'abc'|first }}", "a"},
    {"{{ 'abc'|last }}", "c"},
    {"{{ d|first }}", "b"},
    {"{{ d|last }}", "items"},
    {"{{ range(5)|last }}", "4"},
    {"{{ l|reverse|list }}", "[2, 1, 3]"},
    {"{{ 'abc'|reverse }}", "cba"},
    {"{{ l|join }}", "312"},
    {"{{ l|join(', ') }}", "3, 1, 2"},
    {"{{ l|join(1) }}", "31112"},
    {"{{ u|join(', ',attribute='name') }}", "Bob, alice, Carl"},
    {"{{ 'abc'|join('-') }}", "a-b-c"},
    {"{{ missing|join('x') }}", ""},
    {"{{ l|list }}", "[3, 1, 2]"},
    {"{{ 'abc'|list }}", "['a', 'b', 'c']"},
    {"{{ d|list }}", "['b', 'a', 'c', 'items']"},
    {"{{ l|batch(2)|list }}", "[[3, 1], [2]]"},
    {"{{ l|batch(2,'x')|list }}", "[[3, 1], [2, 'x']]"},
    {"{{ l|slice(2)|list }}", "[[3, 1], [2]]"},
    {"{{ l|slice(2,'x')|list }}", "[[3, 1], [2, 'x']]"},
    {"{{ [1,2,3,4,5,6,7]|slice(3)|list }}", "[[1, 2, 3], [4, 5], [6, 7]]"},
    {"{{ [1,2,3,4,5,6,7]|slice(3,0)|list }}", "[[1, 2, 3], [4, 5, 0], [6, 7, 0]]"},
    {"{{ range(3)|list }}", "[0, 1, 2]"},
    {"{{ range(1,4)|list }}", "[1, 2, 3]"},
    {"{{ range(10,0,-3)|list }}", "[10, 7, 4, 1]"},
    {"{{ range(5)[::2]|list }}", "[0, 2, 4]"},
    {"{{ range(3)|length }}", "3"},
    {"{{ range(0)|list }}", "[]"},
    {"{{ d|attr('a') }}", ""},
    {"{{ (messages|last).content }}", "r"},
    {"{{ messages[1:]|length }}", "2"},
    {"{{ missing|length }}", "0"},
    {"{{ missing|list }}", "[]"},
    {"{{ (1,2,3)|list }}", "[1, 2, 3]"},
    {"{{ '😀é'|length }}", "2"},
    {"{{ '😀é'|reverse }}", "é😀"},
    {"{{ '😀é'|list }}", "['😀', 'é']"},
    {"{{ 'İ'|lower|length }}", "2"},
    {"{{ [1,2,3]|join(',')|length }}", "5"},
    {"{{ (d.items()|list)[0][1] }}", "1"},
    {"{{ range(3,)|list }}", "[0, 1, 2]"},
    {"{{ [[1,[2]],[3]]|sum(start=[]) }}", "[1, [2], 3]"},
    {"{{ 'abcdef'|batch(4,'-')|list }}", "[['a', 'b', 'c', 'd'], ['e', 'f', '-', '-']]"},
    {"{{ [0.1,0.2]|sum }}", "0.30000000000000004"},
    {"{{ [true,false,true]|sum }}", "2"},
    {R"({{ 'tab\tquote\'dq"'|list|length }})", "13"},
    {"{{ (messages|length) - 1 }}", "2"},
    {"{{ range(10)|batch(3)|list|length }}", "4"},
};

constexpr BadCase kSequencesErrors[] = {
    {"{{ ['a']|sum(start='') }}",
     "chat template:1:10: sum() can't sum strings [use ''.join(seq) instead]"},
};

constexpr Case kDefault[] = {
    {"{{ missing|default('x') }}", "x"},
    {"{{ e|default('x') }}", ""},
    {"{{ e|default('x',true) }}", "x"},
    {"{{ n|default('x') }}", "None"},
    {"{{ n|d('x',true) }}", "x"},
    {"{{ missing|d }}", ""},
    {"{{ foo|default(bar)|default('z') }}", "z"},
};

TEST(TemplateSequenceFilters, SortAndGroup) { expect_renders(kSortAndGroup); }
TEST(TemplateSequenceFilters, SortAndGroupErrors) { expect_fails(kSortAndGroupErrors); }
TEST(TemplateSequenceFilters, MapAndSelect) { expect_renders(kMapAndSelect); }
TEST(TemplateSequenceFilters, MapAndSelectErrors) { expect_fails(kMapAndSelectErrors); }
TEST(TemplateSequenceFilters, Sequences) { expect_renders(kSequences); }
TEST(TemplateSequenceFilters, SequencesErrors) { expect_fails(kSequencesErrors); }
TEST(TemplateSequenceFilters, Default) { expect_renders(kDefault); }

}  // namespace
}  // namespace fathom::text::test
