// Which variable a name means: of a block, of an outer one, or of the render.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

ChatTemplate::Json with_variables() {
  return {{"v", "ctx"}, {"cond", true}, {"x", "xx"}, {"gg", "ctx"}};
}
ChatTemplate::Json with_false_condition() { return {{"v", "ctx"}, {"cond", false}}; }

constexpr Case kWithVariables[] = {
    {"{% for k,v in {'a':1,'b':2}.items() %}{{k}}={{v}} {% endfor %}", "a=1 b=2 "},
    {"{% macro m() %}{{ caller('x') }}{{ caller('y') }}{% endmacro %}{% call(v) m() %}<{{v}}>{% "
     "endcall %}",
     "<x><y>"},
    {"{% macro m() %}{{ gg }}{% set gg = 2 %}{{ gg }}{% endmacro %}{{ m() }}{{ gg }}", "ctx2ctx"},
    {"{% if cond %}{% set v = 1 %}{% endif %}{{ v }}", "1"},
    {"{% if cond %}{% set v = 1 %}{% else %}{% set v = 2 %}{% endif %}{{ v }}", "1"},
    {"{% for i in [1,2] %}{{ v }}{% set v = i %}{% endfor %}", "ctxctx"},
    {"{% for i in [1,2] %}{% for j in [1] %}{{ v }}{% endfor %}{% set v = i %}{% endfor %}", ""},
    {"{% for i in [1,2] %}{% if i == 1 %}{% set v = 'a' %}{% endif %}{{ v }}{% endfor %}", "actx"},
    {"{% for i in [1] %}{{ v }}{% endfor %}{% set v = 2 %}", ""},
    {"{% macro mm() %}{{ v }}{% endmacro %}{{ mm() }}{% set v = 2 %}{{ mm() }}", "2"},
    {"{% if false %}{{ v }}{% set v=1 %}{% elif false %}{% set v=2 %}{% else %}{{ v }}{% set v=3 "
     "%}{{ v }}{% endif %}",
     "ctx3"},
    {"{% if true %}{{ v }}{% set v=1 %}{% elif false %}{% set v=2 %}{% else %}{% set v=3 %}{{ v "
     "}}{% endif %}",
     ""},
    {"{% set v = v %}{{ v }}", "ctx"},
    {"{% set v = v ~ 'x' %}{{ v }}", "ctxx"},
    {"{% for v in [1] %}{{ v }}{% endfor %}{{ v }}", "1ctx"},
    {"{% for i in [1] %}{% set v = 5 %}{% macro q() %}{{ v }}{% endmacro %}{{ q() }}{% endfor %}",
     "5"},
    {"{% set total = namespace(v=0) %}{% for i in [1,2,3] if i != 2 %}{% set total.v = total.v + i "
     "%}{% endfor %}{{ total.v }}",
     "4"},
    {"{% for k, v in {'x': {'y': 1}}.items() %}{% for k2, v2 in v.items() %}{{ k }}{{ k2 }}{{ v2 "
     "}}{% endfor %}{% endfor %}",
     "xy1"},
};

constexpr Case kConditionFalse[] = {
    {"{% for k,v in {'a':1,'b':2}.items() %}{{k}}={{v}} {% endfor %}", "a=1 b=2 "},
    {"{% macro m() %}{{ caller('x') }}{{ caller('y') }}{% endmacro %}{% call(v) m() %}<{{v}}>{% "
     "endcall %}",
     "<x><y>"},
    {"{% macro m() %}{{ gg }}{% set gg = 2 %}{{ gg }}{% endmacro %}{{ m() }}{{ gg }}", "2"},
    {"{% if cond %}{% set v = 1 %}{% endif %}{{ v }}", "ctx"},
    {"{% if cond %}{% set v = 1 %}{% else %}{% set v = 2 %}{% endif %}{{ v }}", "2"},
    {"{% for i in [1,2] %}{{ v }}{% set v = i %}{% endfor %}", "ctxctx"},
    {"{% for i in [1,2] %}{% for j in [1] %}{{ v }}{% endfor %}{% set v = i %}{% endfor %}", ""},
    {"{% for i in [1,2] %}{% if i == 1 %}{% set v = 'a' %}{% endif %}{{ v }}{% endfor %}", "actx"},
    {"{% for i in [1] %}{{ v }}{% endfor %}{% set v = 2 %}", ""},
    {"{% macro mm() %}{{ v }}{% endmacro %}{{ mm() }}{% set v = 2 %}{{ mm() }}", "2"},
    {"{% if false %}{{ v }}{% set v=1 %}{% elif false %}{% set v=2 %}{% else %}{{ v }}{% set v=3 "
     "%}{{ v }}{% endif %}",
     "ctx3"},
    {"{% if true %}{{ v }}{% set v=1 %}{% elif false %}{% set v=2 %}{% else %}{% set v=3 %}{{ v "
     "}}{% endif %}",
     ""},
    {"{% set v = v %}{{ v }}", "ctx"},
    {"{% set v = v ~ 'x' %}{{ v }}", "ctxx"},
    {"{% for v in [1] %}{{ v }}{% endfor %}{{ v }}", "1ctx"},
    {"{% for i in [1] %}{% set v = 5 %}{% macro q() %}{{ v }}{% endmacro %}{{ q() }}{% endfor %}",
     "5"},
    {"{% set total = namespace(v=0) %}{% for i in [1,2,3] if i != 2 %}{% set total.v = total.v + i "
     "%}{% endfor %}{{ total.v }}",
     "4"},
    {"{% for k, v in {'x': {'y': 1}}.items() %}{% for k2, v2 in v.items() %}{{ k }}{{ k2 }}{{ v2 "
     "}}{% endfor %}{% endfor %}",
     "xy1"},
};

constexpr Case kWithoutVariables[] = {
    {"{% for k,v in {'a':1,'b':2}.items() %}{{k}}={{v}} {% endfor %}", "a=1 b=2 "},
    {"{% macro m() %}{{ caller('x') }}{{ caller('y') }}{% endmacro %}{% call(v) m() %}<{{v}}>{% "
     "endcall %}",
     "<x><y>"},
    {"{% macro m() %}{{ gg }}{% set gg = 2 %}{{ gg }}{% endmacro %}{{ m() }}{{ gg }}", "2"},
    {"{% if cond %}{% set v = 1 %}{% endif %}{{ v }}", ""},
    {"{% if cond %}{% set v = 1 %}{% else %}{% set v = 2 %}{% endif %}{{ v }}", "2"},
    {"{% for i in [1,2] %}{{ v }}{% set v = i %}{% endfor %}", ""},
    {"{% for i in [1,2] %}{% for j in [1] %}{{ v }}{% endfor %}{% set v = i %}{% endfor %}", ""},
    {"{% for i in [1,2] %}{% if i == 1 %}{% set v = 'a' %}{% endif %}{{ v }}{% endfor %}", "a"},
    {"{% for i in [1] %}{{ v }}{% endfor %}{% set v = 2 %}", ""},
    {"{% macro mm() %}{{ v }}{% endmacro %}{{ mm() }}{% set v = 2 %}{{ mm() }}", "2"},
    {"{% if false %}{{ v }}{% set v=1 %}{% elif false %}{% set v=2 %}{% else %}{{ v }}{% set v=3 "
     "%}{{ v }}{% endif %}",
     "3"},
    {"{% if true %}{{ v }}{% set v=1 %}{% elif false %}{% set v=2 %}{% else %}{% set v=3 %}{{ v "
     "}}{% endif %}",
     ""},
    {"{% set v = v %}{{ v }}", ""},
    {"{% set v = v ~ 'x' %}{{ v }}", "x"},
    {"{% for v in [1] %}{{ v }}{% endfor %}{{ v }}", "1"},
    {"{% for i in [1] %}{% set v = 5 %}{% macro q() %}{{ v }}{% endmacro %}{{ q() }}{% endfor %}",
     "5"},
    {"{% set total = namespace(v=0) %}{% for i in [1,2,3] if i != 2 %}{% set total.v = total.v + i "
     "%}{% endfor %}{{ total.v }}",
     "4"},
    {"{% for k, v in {'x': {'y': 1}}.items() %}{% for k2, v2 in v.items() %}{{ k }}{{ k2 }}{{ v2 "
     "}}{% endfor %}{% endfor %}",
     "xy1"},
};

TEST(TemplateScope, WithVariables) { expect_renders(kWithVariables, with_variables()); }
TEST(TemplateScope, ConditionFalse) { expect_renders(kConditionFalse, with_false_condition()); }
TEST(TemplateScope, WithoutVariables) {
  expect_renders(kWithoutVariables, ChatTemplate::Json::object());
}

}  // namespace
}  // namespace fathom::text::test
