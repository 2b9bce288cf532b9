// Text marked as HTML, which escapes what is joined to it.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

constexpr Case kEscapesOtherText[] = {
    {"{{ s|escape }}", "Hello, Wörld! it&#39;s &lt;b&gt;bold&lt;/b&gt; &amp; &#34;q&#34;"},
    {"{{ s|e }}", "Hello, Wörld! it&#39;s &lt;b&gt;bold&lt;/b&gt; &amp; &#34;q&#34;"},
    {"{{ s|safe }}", R"(Hello, Wörld! it's <b>bold</b> & "q")"},
    {"{{ ('<'|safe) + '<' }}", "<&lt;"},
    {"{{ '<' + ('<'|safe) }}", "&lt;<"},
    {"{{ ('<'|e) ~ '<' }}", "&lt;<"},
    {"{{ ('<b>'|safe).upper() }}", "<B>"},
    {"{{ ('a<b'|safe).split('<') }}", "[Markup('a'), Markup('b')]"},
    {"{{ ('<b>'|safe)|length }}", "3"},
    {"{{ ('<%s>'|safe) % '<' }}", "<&lt;>"},
    {"{{ ('<'|safe).join(['<','>']) }}", "&lt;<&gt;"},
    {"{{ ('abc'|safe).replace('b','<') }}", "a&lt;c"},
    {"{{ [('a'|safe)] }}", "[Markup('a')]"},
    {"{{ ('a'|safe) is escaped }}", "True"},
    {"{{ 'a' is escaped }}", "False"},
    {"{{ '<'|forceescape }}", "&lt;"},
    {"{{ ('<'|safe)|forceescape }}", "&lt;"},
    {"{{ {'class':'x<','id':none,'k':1}|xmlattr }}", R"( class="x&lt;" k="1")"},
    {"{{ {'a':1}|xmlattr(false) }}", R"(a="1")"},
};

TEST(TemplateMarkup, EscapesOtherText) { expect_renders(kEscapesOtherText); }

}  // namespace
}  // namespace fathom::text::test
