#include "file/json_text.h"

#include <cmath>
#include <vector>

#include "base/error.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

// Builds the value as the parser goes, counting as it goes. Errors are thrown through the parser.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(const std::string& source, const JsonLimits& limits) : source_(source), limits_(limits) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }  // not in text

  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    Json& object = *open_.back();
    if (object.contains(name)) throw bad_file(source_, "has the key {} twice", quoted_name(name));
    key_ = std::move(name);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) override {
    throw bad_file(source_, "is not valid JSON at byte {}", position);
  }

 private:
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (open_.size() >= limits_.depth) {
      throw bad_file(source_, "nests JSON deeper than {} levels", limits_.depth);
    }
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  // Where a value goes. The address is good until its parent gets another element, and by then the
  // value is complete.
  Json* place(Json value) {
    if (++values_ > limits_.values) {
      throw bad_file(source_, "has more than {} JSON values", limits_.values);
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  const std::string& source_;
  const JsonLimits& limits_;
  Json root_;
  std::vector<Json*> open_;  // the containers around the present value, outermost first
  std::string key_;
  size_t values_ = 0;
};

std::string joined(const std::string& path, const std::string& key) {
  const std::string name = quoted_name(key);
  const std::string bare = name.substr(1, name.size() - 2);
  return path.empty() ? bare : path + "." + bare;
}

Error wrong_type(const JsonView& view, std::string_view wanted) {
  const std::string where = view.path().empty() ? "the file" : fmt::format("'{}'", view.path());
  return bad_file(view.source(), "{} is {} {}, not {}", where,
                  view.is_array() || view.is_object() ? "an" : "a", view.json().type_name(),
                  wanted);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw bad_file(source, "is {} bytes of JSON; at most {} are read", text.size(), limits.bytes);
  }
  Builder builder(source, limits);
  Json::sax_parse(text, &builder);
  return builder.take();
}

JsonView::JsonView(const Json& value, const std::string& source, std::string path)
    : value_(&value), source_(&source), path_(std::move(path)) {}

std::optional<JsonView> JsonView::find(const std::string& key) const {
  if (!is_object()) throw wrong_type(*this, "an object");
  const auto it = value_->find(key);
  if (it == value_->end() || it->is_null()) return std::nullopt;
  return JsonView(*it, *source_, joined(path_, key));
}

std::optional<int64_t> JsonView::integer(const std::string& key) const {
  const auto member = find(key);
  return member ? std::optional(member->as_integer()) : std::nullopt;
}

std::optional<double> JsonView::number(const std::string& key) const {
  const auto member = find(key);
  return member ? std::optional(member->as_number()) : std::nullopt;
}

std::optional<bool> JsonView::flag(const std::string& key) const {
  const auto member = find(key);
  if (!member) return std::nullopt;
  if (!member->json().is_boolean()) throw wrong_type(*member, "true or false");
  return member->json().get<bool>();
}

std::optional<std::string> JsonView::text(const std::string& key) const {
  const auto member = find(key);
  return member ? std::optional(member->as_text()) : std::nullopt;
}

JsonView JsonView::require(const std::string& key) const {
  if (const auto member = find(key)) return *member;
  throw bad_file(*source_, "'{}' is missing", joined(path_, key));
}

int64_t JsonView::require_integer(const std::string& key) const {
  return require(key).as_integer();
}
std::string JsonView::require_text(const std::string& key) const { return require(key).as_text(); }

JsonView JsonView::element(size_t index) const {
  if (!is_array()) throw wrong_type(*this, "an array");
  return JsonView((*value_)[index], *source_, fmt::format("{}[{}]", path_, index));
}

int64_t JsonView::as_integer() const {
  if (!value_->is_number_integer()) throw wrong_type(*this, "an integer");
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > uint64_t{INT64_MAX}) {
    throw bad_file(*source_, "'{}' is {}, beyond 63 bits", path_, value_->get<uint64_t>());
  }
  return value_->get<int64_t>();
}

double JsonView::as_number() const {
  if (!value_->is_number()) throw wrong_type(*this, "a number");
  const double number = value_->get<double>();
  if (!std::isfinite(number)) throw bad_file(*source_, "'{}' is not finite", path_);
  return number;
}

const std::string& JsonView::as_text() const {
  if (!is_string()) throw wrong_type(*this, "a string");
  return value_->get_ref<const std::string&>();
}

}  // namespace fathom::file
