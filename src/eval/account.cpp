#include "eval/account.h"

#include <cmath>

#include "base/error.h"
#include "base/memory.h"
#include "eval/json_lines.h"
#include "eval/sequence.h"
#include "kv/account.h"

namespace fathom::eval {
namespace {

using Json = nlohmann::ordered_json;
using file::JsonView;

Json range_json(const AccountRange& r) {
  return {{"first", r.first},
          {"end", r.end},
          {"prefill_share_by_keys", r.prefill_keys.value()},
          {"prefill_share_by_queries", r.prefill_queries.value()},
          {"prefill_pairs", r.prefill_queries.part},
          {"prefill_pairs_dense", r.prefill_queries.whole},
          {"kept_share", r.kept.value()},
          {"tokens_kept", r.kept.part},
          {"tokens_dropped", r.kept.whole - r.kept.part},
          {"store_share", r.stored.value()},
          {"fetched_share", r.fetched.value()},
          {"keys_fetched", r.fetched.part},
          {"keys_fetched_of", r.fetched.whole},
          {"bytes", std::round(r.bytes)}};
}

Json choice_json(const AccountChoice& choice) {
  Json shares = Json::array();
  for (const AccountShare& range : choice.ranges) shares.push_back(range.value());
  return {{"text_tokens", choice.text},
          {"chosen_tokens", choice.chosen},
          {"layers", choice.layers},
          {"chosen_shares", shares}};
}

double share_of(const JsonView& object, const char* key) {
  const double share = object.require(key).as_number();
  if (!(share >= 0 && share <= 1)) {
    throw bad_file(object.source(), "'{}' is {}, outside 0 to 1", key, share);
  }
  return share;
}

AccountLine::Shares shares_of(const JsonView& object, const char* prefill) {
  return {0,
          0,
          share_of(object, prefill),
          share_of(object, "kept_share"),
          share_of(object, "store_share"),
          share_of(object, "fetched_share")};
}

void read_account(const JsonView& account, AccountLine& line) {
  line.total = shares_of(account, "prefill_share");
  line.total.end = size_of(account, "tokens");
  const JsonView ranges = account.require("ranges");
  for (size_t i = 0; i < ranges.size(); ++i) {
    const JsonView range = ranges.element(i);
    AccountLine::Shares& s = line.ranges.emplace_back(shares_of(range, "prefill_share_by_keys"));
    s.first = size_of(range, "first");
    s.end = size_of(range, "end");
  }
  const JsonView stores = account.require("stores");
  for (size_t i = 0; i < stores.size(); ++i) {
    const JsonView store = stores.element(i);
    const std::string keys = store.require_text("keys"), values = store.require_text("values");
    line.codecs +=
        fmt::format("{}{} {}", i == 0 ? "" : ", ", human_bytes(double(size_of(store, "bytes"))),
                    keys == values ? keys : keys + "+" + values);
  }
}

}  // namespace

Json account_json(const Account& a) {
  Json ranges = Json::array(), stores = Json::array();
  for (const AccountRange& range : a.ranges) ranges.push_back(range_json(range));
  for (const AccountStore& s : a.stores) {
    stores.push_back({{"keys", s.keys},
                      {"values", s.values},
                      {"pages", s.pages},
                      {"tokens", s.tokens},
                      {"bytes", s.bytes}});
  }
  Json out = {{"kv", a.policy},
              {"tokens", a.tokens},
              {"heads", a.heads},
              {"prefill_share", a.total.prefill_keys.value()},
              {"kept_share", a.total.kept.value()},
              {"kept_shortest_head", a.shortest},
              {"kept_longest_head", a.longest},
              {"store_share", a.total.stored.value()},
              {"fetched_share", a.total.fetched.value()},
              {"steps", a.steps},
              {"bytes", std::round(a.total.bytes)},
              {"stores", stores},
              {"ranges", ranges}};
  if (a.choice.layers > 0) out["choice"] = choice_json(a.choice);
  return out;
}

Account measure_account(const Subject& subject, std::span<const engine::TokenId> tokens,
                        size_t length) {
  FATHOM_CHECK(length > 0 && tokens.size() > length);
  Sequence text(*subject.engine);
  text.read(tokens.first(length));
  for (size_t i = length; i < tokens.size(); ++i) text.append(tokens.subspan(i, 1));
  return kv::make_account(text.cache(), subject.engine->runner().policy());
}

AccountLine make_account_line(std::string model, std::string policy, size_t length,
                              const Account& account) {
  AccountLine line;
  line.model = std::move(model);
  line.policy = std::move(policy);
  line.length = length;
  line.json = account_json(account);
  const nlohmann::json plain = line.json;
  const std::string source = "account";
  read_account(JsonView(plain, source), line);
  return line;
}

std::string account_line(const AccountLine& line) {
  const Json json = {{"model", line.model},
                     {"policy", line.policy},
                     {"length", line.length},
                     {"account", line.json}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<AccountLine> parse_accounts(std::string_view text, const std::string& source) {
  std::vector<AccountLine> out;
  each_json_line(text, source, [&](const JsonView& object) {
    AccountLine& line = out.emplace_back();
    line.model = object.text("model").value_or("");
    line.policy = object.require_text("policy");
    line.length = size_of(object, "length");
    const JsonView account = object.require("account");
    line.json = account.json();
    read_account(account, line);
  });
  return out;
}

}  // namespace fathom::eval
