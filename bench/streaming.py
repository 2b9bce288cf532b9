#!/usr/bin/env python3
"""Draws how `fathom perplexity --stream --json` goes on through a long text, as SVG.

    fathom perplexity -f books.txt --stream -b 64 -c 1000001 --kv "keep=streaming(...)" --json > a.json
    bench/streaming.py "with sinks" a.json "without" b.json > docs/streaming.svg

Three panels over the tokens read: memory of the process, time a token, perplexity. Of a run whose name
begins with ~ only the perplexity is drawn: its time was taken beside other work.
"""
import json
import math
import sys
from xml.sax.saxutils import escape

WIDTH, PANEL, GAP, LEFT, TOP, RIGHT = 900, 150, 46, 90, 26, 200
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"]  # Okabe and Ito's
DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 4"]
PANELS = [
    ("memory of the process, MiB", lambda s: s["resident_bytes"] / 2**20, 0.0),
    ("microseconds a token", lambda s: s["seconds_per_token"] * 1e6, 0.0),
    ("perplexity (log scale)", lambda s: s["perplexity"], None),
]


def text(x, y, words, anchor="start", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(words)}</text>'


def read(path):
    with open(path) as file:
        return json.load(file)["segments"]


def panel(index, runs, last):
    title, value, floor = PANELS[index]
    logs = floor is None
    top = TOP + index * (PANEL + GAP)
    drawn = [not name.startswith("~") or logs for name, _ in runs]
    values = [value(s) for (_, segments), show in zip(runs, drawn) if show for s in segments]
    low = min(values) * 0.8 if logs else floor
    high = max(values) * (1.25 if logs else 1.1)

    def place(v):
        if logs:
            return (math.log(v) - math.log(low)) / (math.log(high) - math.log(low))
        return (v - low) / (high - low)

    out = [f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL}" fill="none" stroke="#888"/>']
    out.append(text(LEFT, top - 7, title))
    for v in (low, (low * high) ** 0.5 if logs else (low + high) / 2, high):
        y = top + PANEL * (1 - place(v))
        out.append(text(LEFT - 6, y + 4, f"{v:.3g}" if v < 1000 else f"{v:,.0f}", "end", 11))
    for i, (name, segments) in enumerate(runs):
        dash = f' stroke-dasharray="{DASHES[i % 5]}"' if DASHES[i % 5] else ""
        if index == 0:
            y = top + 14 + 18 * i
            x = WIDTH - RIGHT + 12
            out.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 26}" y2="{y - 4}" stroke="{COLOURS[i % 5]}" stroke-width="2"{dash}/>')
            out.append(text(x + 32, y, name.lstrip("~")))
        if not drawn[i]:
            continue
        points = " ".join(
            f'{LEFT + (WIDTH - LEFT - RIGHT) * s["end"] / last:.1f},{top + PANEL * (1 - place(value(s))):.1f}'
            for s in segments
        )
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i % 5]}" stroke-width="2"{dash}/>')
    return out


def main(arguments):
    if len(arguments) < 2 or len(arguments) % 2:
        sys.exit(__doc__)
    runs = [(arguments[i], read(arguments[i + 1])) for i in range(0, len(arguments), 2)]
    last = max(s["end"] for _, segments in runs for s in segments)
    height = TOP + len(PANELS) * (PANEL + GAP) + 10
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" font-family="sans-serif">',
        "<style>text{fill:#333}@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>",
    ]
    for index in range(len(PANELS)):
        out += panel(index, runs, last)
    bottom = TOP + len(PANELS) * (PANEL + GAP) - GAP + 16
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = LEFT + (WIDTH - LEFT - RIGHT) * share
        out.append(text(x, bottom, f"{last * share:,.0f}", "middle", 11))
    out.append(text(LEFT + (WIDTH - LEFT - RIGHT) / 2, bottom + 16, "tokens", "middle"))
    print("\n".join(out + ["</svg>"]))


if __name__ == "__main__":
    main(sys.argv[1:])
