// Reading JSON lines out of untrusted files: what instance files and prediction files share.
//
// All errors are Error(kBadFile) naming "file:line" and the field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/function_ref.h"
#include "file/json_text.h"

namespace fathom::eval {

using Strings = std::vector<std::string>;

// Calls `read` for the object of every line that is not blank.
void each_json_line(std::string_view text, const std::string& source,
                    FunctionRef<void(const file::JsonView&)> read);

Error bad_field(const file::JsonView& view, std::string_view what);

// An answer or a list of answers: texts or numbers, none of them empty.
Strings gold_list(const file::JsonView& view);
// The member "options", or nothing.
Strings options_of(const file::JsonView& object);
// A member that is a count; 0 where it is missing.
size_t size_of(const file::JsonView& object, const std::string& key);
// A member that is a text, or an integer as published files number things; "" where it is missing.
std::string name_of(const file::JsonView& object, const std::string& key);

}  // namespace fathom::eval
