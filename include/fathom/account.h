// What an answer stood on: for every stage of the cache, which part of the text it used.
//
// Counted only where ModelOptions::explain asks for it; plain data.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace fathom {

// `part` of `whole`; nothing of nothing is everything.
struct AccountShare {
  double part = 0, whole = 0;
  double value() const { return whole > 0 ? part / whole : 1.0; }
};

// Of the positions [first, end) of the text, summed over layers and heads.
struct AccountRange {
  size_t first = 0, end = 0;
  // PREFILL: (query, key) pairs that were computed of those that reading everything computes, in
  // tiles of up to 64 queries by 64 keys; with the keys, then with the queries at these positions.
  AccountShare prefill_keys, prefill_queries;
  AccountShare kept;     // KEEP: tokens that are still there
  AccountShare fetched;  // FETCH: of the kept keys, those that steps of one token read
  // STORE: bytes of the tokens that are kept, of those that all tokens here would take in full
  // precision. Without what is empty of pages.
  AccountShare stored;
  double bytes = 0;  // of the cache, all pages in full
};

// What a format of the cache holds.
struct AccountStore {
  std::string keys, values;  // formats
  size_t pages = 0, tokens = 0, bytes = 0;
};

// Where a policy chose which tokens of a prompt the model reads.
struct AccountChoice {
  size_t text = 0;                   // tokens it chose from, of which the first layers read all
  size_t chosen = 0;                 // tokens that all layers read
  size_t layers = 0;                 // that read all; 0: nothing was chosen
  std::vector<AccountShare> ranges;  // of the text, in up to 64 parts of (almost) equal length
};

struct Account {
  std::string policy;                // the complete line
  size_t tokens = 0;                 // read so far
  size_t heads = 0;                  // layers * kv heads
  size_t shortest = 0, longest = 0;  // tokens that a head keeps
  size_t steps = 0;                  // of one token, for the last reply
  std::vector<AccountRange> ranges;  // ascending, without gaps; at most 64, of equal length but the
                                     // last
  AccountRange total;
  AccountChoice choice;  // ranges and tokens above count what was chosen
  std::vector<AccountStore> stores;
};

}  // namespace fathom
