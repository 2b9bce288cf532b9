// What white space around tags becomes.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

constexpr Case kTags[] = {
    {"  {% if true %}\n  x\n  {% endif %}\ny\n", "  x\ny"},
    {"a\n  {% if true %}  \nb\n  {% endif %}  \nc\n\n", "a\n  \nb\n  \nc\n"},
    {"a\n  {%+ if true %}\nb\n  {%+ endif %}\nc", "a\n  b\n  c"},
    {"a\n  {%- if true -%}  \nb\n  {%- endif -%}  \nc", "abc"},
    {"  {# c #}\nx\n  {# c #}  \ny", "x\n  \ny"},
    {"x {# c #}\ny", "x y"},
    {"  {{ 1 }}\n  {{ 2 }}\n", "  1\n  2"},
    {"x\n\n\n", "x\n\n"},
    {"x\n", "x"},
    {"\n", ""},
    {"", ""},
    {"\n\n", "\n"},
    {"x\r\ny\r\n", "x\ny"},
    {"x\ry\r", "x\ny"},
    {"\r\n", ""},
    {"{% for i in [1,2] %}\n  {{ i }}\n{% endfor %}\n", "  1\n  2\n"},
    {"{% for i in [1,2] %}\n  {{ i }}\n{% endfor -%}\n z", "  1\n  2\nz"},
    {"{% for i in [1,2] +%}\n  {{ i }}\n{% endfor +%}\n z", "\n  1\n\n  2\n\n z"},
    {"a {% if true %} b {% endif %} c", "a  b  c"},
    {"a {%- if true -%} b {%- endif -%} c", "abc"},
    {"\t {% if true %}\n\tx\n\t {% endif %}\n", "\tx\n"},
    {"\302\240{% if true %}x{% endif %}\302\240\n\302\240{%- if true -%}\302\240y{% endif %}",
     "xy"},
    {"{% raw %}\n  a\n  {% endraw %}\n b", "\n  a\n b"},
    {"{%- raw -%}\n  a\n  {%- endraw -%}\n b", "ab"},
    {"  {% raw %}  a  {% endraw +%}\n b", "  a  \n b"},
    {"{% raw -%}\n a{% endraw %}", "a"},
    {"x\n  {% raw %} y {% endraw %}\nz", "x\n y z"},
    {"{{ 1 }}\n{{ 2 -}}\n  {{ 3 }}", "1\n23"},
    {"{{ 1 -}}\n  {% if true %}x{% endif %}", "1x"},
    {"{#- a -#}\n\n x {#+ b +#}\n y", "x \n y"},
    {"a{#\nmulti\nline\n#}\nb", "ab"},
    {"  {{- 1 }}", "1"},
    {"x\n  {{- 1 }}\n  {{ 2 -}}\n  y", "x1\n  2y"},
    {"{% if true %}{% if true %}\nx\n{% endif %}{% endif %}\ny", "x\ny"},
    {"{% set x %}\n  a\n{% endset %}\n[{{ x }}]", "[  a\n]"},
    {"{% macro m() %}\n  a\n{% endmacro %}\n[{{ m() }}]", "[  a\n]"},
    {"{% filter trim %}\n  a\n{% endfilter %}\n|", "a|"},
    {"{% if true %}\n\n\nx{% endif %}", "\n\nx"},
    {"{% if true %}\r\nx\r\n{% endif %}\r\n", "x\n"},
    {"{{ 'a\nb' }}", "a\nb"},
    {"{{ 'a\r\nb' }}", "a\nb"},
    {"{{\n1\n+\n2\n}}", "3"},
    {"{%\nif\ntrue\n%}x{%endif%}", "x"},
    {"{%if true%}x{%endif%}", "x"},
    {"{{1}}", "1"},
    {"{{-1}}", "1"},
    {"{{- 1}}", "1"},
    {"{{+1}}", "1"},
    {"{%-if true-%}x{%-endif-%}", "x"},
    {"{% if true -%}\n   \n\n x{% endif %}", "x"},
    {"x\n   \n  {%- if true %}y{% endif %}", "xy"},
    {"a\n\013{% if true %}b{% endif %}", "a\nb"},
    {"a\302\205{% if true %}b{% endif %}", "a\302\205b"},
    {"a\n\342\200\203{% if true %}b{% endif %}", "a\nb"},
    {"{% for i in [1,2] %}{{ i }}\n{% endfor %}", "1\n2\n"},
    {"{% for i in [1,2] %}\n{{ i }}{% endfor %}", "12"},
    {"{% if false %}a{% else %}\nb\n{% endif %}\n\n", "b\n"},
    {"{%- set a = 1 %}\n{%- set b = 2 %}\n\n{{ a }}", "\n1"},
    {"{% set a = 1 -%}\n  {{ a }}", "1"},
    {"\n{% set a = 1 %}\n\n{{ a }}", "\n\n1"},
    {"{# a #}{# b #}\n{# c #}x", "x"},
    {"  {# a #}  {# b #}  \n x", "    \n x"},
    {"  {% set a=1 %}  {% set b=2 %}  \n x", "    \n x"},
    {"x  {% set a=1 %}\n y", "x   y"},
    {"{{ 1 }}  {% set b=2 %}  \n x", "1    \n x"},
    {"{{ '\n' -}}\n  {% if true %}a{% endif %}", "\na"},
    {"{% raw %}{% endraw %}x", "x"},
    {"{% raw %} {% raw %} {% endraw %}x", " {% raw %} x"},
    {"{% raw%}a{%endraw%}", "a"},
    {"{%raw%}{{{%endraw%}", "{{"},
    {"{% raw %}{%- endraw %}", ""},
};

constexpr BadCase kTagsErrors[] = {
    {"{% rawx %}", "chat template:1:4: unknown tag 'rawx'"},
    {"{% raw x %}", "chat template:1:4: {% raw %} does not belong here: no tag is open"},
    {"{% raw +%}\nx{% endraw %}",
     "chat template:1:4: {% raw %} does not belong here: no tag is open"},
};

TEST(TemplateWhitespace, Tags) { expect_renders(kTags, ChatTemplate::Json::object()); }
TEST(TemplateWhitespace, TagsErrors) { expect_fails(kTagsErrors, ChatTemplate::Json::object()); }

}  // namespace
}  // namespace fathom::text::test
