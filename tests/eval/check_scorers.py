"""The scorers once more, written from their published rules with the standard library only.

Reads one object a line (scorer, output, golds, options, rivals) and prints one score a line.
"""
import json
import math
import re
import string
import sys
import unicodedata
from collections import Counter


def contains(c):
    return float(any(g in c["output"] for g in c["golds"]))


def contains_ci_any(c):
    return float(any(g.lower() in c["output"].lower() for g in c["golds"]))


def recall_ci(c):
    if not c["golds"]:
        return 0.0
    return sum(g.lower() in c["output"].lower() for g in c["golds"]) / len(c["golds"])


def first_int(c):
    found = re.search(r"[0-9]+", c["output"])
    return float(bool(found) and found.group() in c["golds"])


def first_num(c):
    found = re.search(r"[0-9]+\.[0-9]+|[0-9]+", c["output"])
    if not found:
        return 0.0
    for gold in c["golds"]:
        if re.fullmatch(r"[0-9]+", gold):
            if int(found.group().split(".")[0]) == int(gold):
                return 1.0
        elif re.fullmatch(r"[0-9]+\.[0-9]+", gold) and float(found.group()) == float(gold):
            return 1.0
    return 0.0


def decide(output, options):
    output = output.strip(" \t\n\r\f\v")
    if re.match(r"[A-D](?![A-Za-z])", output):
        return output[0]
    for letter, option in zip("ABCD", options):
        if output == option.strip():
            return letter
    for lead in ("answer is", "option is", "answer:"):
        at = output.lower().find(lead)
        if at < 0:
            continue
        rest = output[at + len(lead):].lstrip(" \t\r\n:(\"'*")
        if re.match(r"[A-D](?![A-Za-z])", rest):
            return rest[0]
        fits = [(len(o.strip()), l) for l, o in zip("ABCD", options)
                if rest.lower().startswith(o.strip().lower())]
        if fits:
            return max(fits, key=lambda f: f[0])[1]
    alone = re.search(r"(?<![A-Za-z0-9_])[A-D](?![A-Za-z0-9_])", output)
    return alone.group() if alone else None


def choice(c):
    decided = decide(c["output"], c["options"])
    for gold in c["golds"]:
        if gold in c["options"]:
            gold = "ABCD"[c["options"].index(gold)]
        if decided is not None and decided == gold:
            return 1.0
    return 0.0


def f1(output, gold):
    same = sum((Counter(output) & Counter(gold)).values())
    return 2 * same / (len(output) + len(gold)) if same else 0.0


def words(text):
    text = "".join(ch for ch in text.lower() if ch not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def letters(text):
    return [ch for ch in text.lower() if not ch.isspace() and ch not in string.punctuation
            and not unicodedata.category(ch).startswith("P")]


def f1_word(c):
    return max((f1(words(c["output"]), words(g)) for g in c["golds"]), default=0.0)


def f1_char(c):
    return max((f1(letters(c["output"]), letters(g)) for g in c["golds"]), default=0.0)


def common(reference, output):
    """Indices of the reference's tokens in one longest common subsequence."""
    table = [[0] * (len(output) + 1) for _ in range(len(reference) + 1)]
    for i, r in enumerate(reference, 1):
        for j, o in enumerate(output, 1):
            table[i][j] = (table[i - 1][j - 1] + 1 if r == o
                           else max(table[i - 1][j], table[i][j - 1]))
    i, j, found = len(reference), len(output), set()
    while i and j:
        if reference[i - 1] == output[j - 1]:
            i, j = i - 1, j - 1
            found.add(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return found


def rouge_lsum(output, gold):
    reference, candidate = ([re.findall(r"[a-z0-9]+", line.lower()) for line in text.split("\n")]
                            for text in (gold, output))
    left_r = Counter(t for s in reference for t in s)
    left_c = Counter(t for s in candidate for t in s)
    total = sum(left_r.values()) + sum(left_c.values())
    hits = 0
    for sentence in reference:
        union = set().union(*(common(sentence, other) for other in candidate))
        for token in (sentence[i] for i in sorted(union)):
            if left_r[token] and left_c[token]:
                left_r[token] -= 1
                left_c[token] -= 1
                hits += 1
    return 2 * hits / total if hits else 0.0


def rougeLsum(c):
    return max((rouge_lsum(c["output"], g) for g in c["golds"]), default=0.0)


def bleu(candidate, reference):
    candidate, reference = candidate.split(), reference.split()
    logs, halvings = 0.0, 1
    for n in range(1, 5):
        have = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))
        want = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))
        matches = sum((have & want).values())
        if matches == 0 and n == 1:
            return 0.0
        if matches == 0 and len(candidate) > 1:
            matches = math.log(len(candidate)) / (2 ** halvings * 5)
            halvings += 1
        if matches == 0:
            return 0.0
        logs += math.log(matches / max(1, len(candidate) - n + 1)) / 4
    return math.exp(min(0.0, 1 - len(reference) / len(candidate)) + logs)


def bleu80(c):
    """For outputs that are one fenced function or nothing but a function."""
    found = re.search(r"```[^\n]*\n(.*?)```", c["output"], re.S)
    code = found.group(1) if found else c["output"]
    best = max((bleu(code, g) for g in c["golds"]), default=0.0)
    return float(best >= 0.8 and all(bleu(code, r) <= best for r in c["rivals"]))


def main():
    for line in sys.stdin:
        case = json.loads(line)
        print(repr(globals()[case["scorer"]](case)))


if __name__ == "__main__":
    main()
