// Filters on numbers.
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

constexpr Case kRounds[] = {
    {"{{ 42.55|round }}", "43.0"},
    {"{{ 42.55|round(1,'floor') }}", "42.5"},
    {"{{ 42.55|round(1,'ceil') }}", "42.6"},
    {"{{ 42.5|round }}", "42.0"},
    {"{{ 43.5|round }}", "44.0"},
    {"{{ 2.675|round(2) }}", "2.67"},
    {"{{ 1234|round(-2) }}", "1200"},
    {"{{ 1250|round(-2) }}", "1200"},
    {"{{ 1350|round(-2) }}", "1400"},
    {"{{ 1234.5|round(-2) }}", "1200.0"},
    {"{{ 1250.0|round(-2) }}", "1200.0"},
    {"{{ 42|round }}", "42"},
    {"{{ 42|round(1) }}", "42"},
    {"{{ true|round }}", "1"},
    {"{{ 5.5|round(0,'ceil') }}", "6.0"},
    {"{{ 5|round(0,'floor') }}", "5.0"},
    {"{{ 15.0|round(-1) }}", "20.0"},
    {"{{ 25.0|round(-1) }}", "20.0"},
    {"{{ 4.9|round(-1) }}", "0.0"},
    {"{{ 5.0|round(-1) }}", "0.0"},
    {"{{ 5.1|round(-1) }}", "10.0"},
    {"{{ -5|abs }}", "5"},
    {"{{ -5.5|abs }}", "5.5"},
    {"{{ true|abs }}", "1"},
    {"{{ -1|abs }}", "1"},
    {"{{ -(1)|abs }}", "1"},
};

constexpr BadCase kRoundsErrors[] = {
    {"{{ 'a'|abs }}", "chat template:1:8: bad operand type for abs(): 'str'"},
};

constexpr Case kConverts[] = {
    {"{{ '42'|int }}", "42"},
    {"{{ '42.7'|int }}", "42"},
    {"{{ 'abc'|int }}", "0"},
    {"{{ 'abc'|int(7) }}", "7"},
    {"{{ '0x1f'|int(0,16) }}", "31"},
    {"{{ '1f'|int(0,16) }}", "31"},
    {"{{ '0b11'|int(0,2) }}", "3"},
    {"{{ '0o17'|int(base=8) }}", "15"},
    {"{{ '077'|int(0,0) }}", "77"},
    {"{{ '0x1F'|int(0,0) }}", "31"},
    {"{{ '00'|int(5,0) }}", "0"},
    {"{{ ' 42 '|int }}", "42"},
    {"{{ '1_000'|int }}", "1000"},
    {"{{ '1__0'|int(9) }}", "9"},
    {"{{ '-5'|int }}", "-5"},
    {"{{ '+5'|int }}", "5"},
    {"{{ '--5'|int(9) }}", "9"},
    {"{{ '- 5'|int(9) }}", "9"},
    {"{{ 3.99|int }}", "3"},
    {"{{ -3.99|int }}", "-3"},
    {"{{ none|int }}", "0"},
    {"{{ none|int(3) }}", "3"},
    {"{{ true|int }}", "1"},
    {"{{ []|int(3) }}", "3"},
    {"{{ '1e3'|int }}", "1000"},
    {"{{ 'inf'|float }}", "inf"},
    {"{{ 'nan'|float }}", "nan"},
    {"{{ '-inf'|float }}", "-inf"},
    {"{{ '1.5'|float }}", "1.5"},
    {"{{ 'abc'|float }}", "0.0"},
    {"{{ 'abc'|float(2) }}", "2"},
    {"{{ '1_0.5'|float }}", "10.5"},
    {"{{ ' 1.5 '|float }}", "1.5"},
    {"{{ '.5'|float }}", "0.5"},
    {"{{ '5.'|float }}", "5.0"},
    {"{{ '1e5'|float }}", "100000.0"},
    {"{{ '1e500'|float }}", "inf"},
    {"{{ '1e-500'|float }}", "0.0"},
    {"{{ none|float }}", "0.0"},
    {"{{ true|float }}", "1.0"},
    {"{{ 1000|filesizeformat }}", "1.0 kB"},
    {"{{ 1|filesizeformat }}", "1 Byte"},
    {"{{ 999|filesizeformat }}", "999 Bytes"},
    {"{{ 1500000|filesizeformat }}", "1.5 MB"},
    {"{{ 1024|filesizeformat(true) }}", "1.0 KiB"},
    {"{{ 1048576|filesizeformat(true) }}", "1.0 MiB"},
    {"{{ 2.5|int }}", "2"},
};

TEST(TemplateNumberFilters, Rounds) { expect_renders(kRounds); }
TEST(TemplateNumberFilters, RoundsErrors) { expect_fails(kRoundsErrors); }
TEST(TemplateNumberFilters, Converts) { expect_renders(kConverts); }

}  // namespace
}  // namespace fathom::text::test
