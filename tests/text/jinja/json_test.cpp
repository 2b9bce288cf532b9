// The filter tojson, as chat clients define it.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

constexpr Case kToJson[] = {
    {"{{ [1,2]|tojson }}", "[1, 2]"},
    {"{{ d|tojson }}", R"({"b": 1, "a": 2, "c": null, "items": "x"})"},
    {"{{ u|tojson(indent=2) }}",
     "[\n  {\n    \"name\": \"Bob\",\n    \"age\": 30,\n    \"addr\": {\n      \"city\": "
     "\"Oslo\"\n    }\n  },\n  {\n    \"name\": \"alice\",\n    \"age\": 25,\n    \"addr\": {\n    "
     "  \"city\": \"rome\"\n    }\n  },\n  {\n    \"name\": \"Carl\",\n    \"age\": 30,\n    "
     "\"addr\": {\n      \"city\": \"Rome\"\n    }\n  }\n]"},
    {"{{ d|tojson(indent=4,sort_keys=true) }}",
     "{\n    \"a\": 2,\n    \"b\": 1,\n    \"c\": null,\n    \"items\": \"x\"\n}"},
    {R"({{ {'é':'ü\n"\\'}|tojson }})", R"({"é": "ü\n\"\\"})"},
    {"{{ {'é':'ü😀'}|tojson(ensure_ascii=true) }}", R"({"\u00e9": "\u00fc\ud83d\ude00"})"},
    {"{{ {'a':[],'b':{}}|tojson(indent=2) }}", "{\n  \"a\": [],\n  \"b\": {}\n}"},
    {"{{ [1,[2,[3]]]|tojson(indent=1) }}", "[\n 1,\n [\n  2,\n  [\n   3\n  ]\n ]\n]"},
    {"{{ {1:2,1.5:3,none:4,true:5}|tojson }}", R"({"1": 5, "1.5": 3, "null": 4})"},
    {"{{ [1.0,1e20,0.1,none,true]|tojson }}", "[1.0, 1e+20, 0.1, null, true]"},
    {"{{ ('inf'|float)|tojson }}", "Infinity"},
    {"{{ ('nan'|float)|tojson }}", "NaN"},
    {"{{ [1,2]|tojson(separators=(',',':')) }}", "[1,2]"},
    {R"({{ d|tojson(indent='\t') }})",
     "{\n\t\"b\": 1,\n\t\"a\": 2,\n\t\"c\": null,\n\t\"items\": \"x\"\n}"},
    {"{{ [1]|tojson(indent=0) }}", "[\n1\n]"},
    {"{{ (1,2)|tojson }}", "[1, 2]"},
    {R"({{ '\x00\x1f\x7f\u2028'|tojson }})", "\"\\u0000\\u001f\177\342\200\250\""},
    {"{{ ('<b>'|safe)|tojson }}", R"("<b>")"},
    {"{{ 'a'|list|tojson }}", R"(["a"])"},
    {R"({{ '\x7f'|tojson(ensure_ascii=true) }})", R"("\u007f")"},
    {R"({{ '\x7f'|tojson }})", "\"\177\""},
};

constexpr BadCase kToJsonErrors[] = {
    {"{{ missing|tojson }}",
     "chat template:1:12: Object of type Undefined is not JSON serializable"},
    {"{{ range(3)|tojson }}", "chat template:1:13: Object of type range is not JSON serializable"},
};

TEST(TemplateJson, ToJson) { expect_renders(kToJson); }
TEST(TemplateJson, ToJsonErrors) { expect_fails(kToJsonErrors); }

}  // namespace
}  // namespace fathom::text::test
