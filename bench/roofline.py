#!/usr/bin/env python3
"""Draws where each test of `fathom bench -o json` stands under the machine's limits, as SVG.

    fathom bench model.gguf -p 512,8192 -n 64 -d 0,8192 -o json > a.json
    bench/roofline.py a.json [b.json ...] > docs/roofline.svg

Across: multiply-adds for each byte that must be read once. Up: multiply-adds a second. The sloping
line is the measured read bandwidth, the level ones are the measured peaks.
"""
import json
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 520, 80, 30, 250, 60
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]  # Okabe and Ito's


def points(path):
    with open(path) as file:
        data = json.load(file)
    for row in data["rows"]:
        tokens = max(row["n_prompt"], row["n_gen"]) * row.get("n_parallel", 1)
        seconds = tokens / row["median_tokens_per_second"]
        yield {
            "label": row["test"],
            "intensity": row["macs"] / row["bytes"],
            "speed": row["macs"] / seconds,
            "share": row["share_of_limit"],
        }


class Plot:
    def __init__(self, x_range, y_range):
        self.x_range, self.y_range = x_range, y_range

    @staticmethod
    def place(value, low, high):
        return (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))

    def x(self, value):
        return LEFT + (WIDTH - LEFT - RIGHT) * self.place(value, *self.x_range)

    def y(self, value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * self.place(value, *self.y_range)


def text(x, y, words, anchor="start", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{words}</text>'


def axes(plot):
    out = []
    for power in range(-1, 5):
        value = 10.0**power
        if plot.x_range[0] <= value <= plot.x_range[1]:
            x = plot.x(value)
            out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#8884"/>')
            out.append(text(x, HEIGHT - BOTTOM + 18, f"{value:g}", "middle"))
    for power in range(9, 14):
        value = 10.0**power
        if plot.y_range[0] <= value <= plot.y_range[1]:
            y = plot.y(value)
            out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#8884"/>')
            out.append(text(LEFT - 8, y + 4, f"{value / 1e9:g}", "end"))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "multiply-adds for a byte read", "middle", 13))
    out.append(f'<g transform="rotate(-90 20 {HEIGHT / 2})">{text(20, HEIGHT / 2, "GMAC/s", "middle", 13)}</g>')
    return out


def roofs(plot, machine):
    out = []
    bandwidth = machine["read_bytes_per_second"]
    peaks = [(k, machine[f"{k}_macs_per_second"]) for k in ("int8", "bf16", "f32") if f"{k}_macs_per_second" in machine]
    for name, peak in peaks:
        start = max(peak / bandwidth, plot.x_range[0])
        out.append(
            f'<line x1="{plot.x(start):.1f}" y1="{plot.y(peak):.1f}" x2="{WIDTH - RIGHT}" y2="{plot.y(peak):.1f}" '
            'stroke="currentColor" stroke-width="1.5"/>'
        )
        out.append(text(plot.x(start) + 4, plot.y(peak) - 5, f"{name}, {peak / 1e9:.0f} GMAC/s"))
    low, high = plot.x_range[0], max(p for _, p in peaks) / bandwidth
    out.append(
        f'<line x1="{plot.x(low):.1f}" y1="{plot.y(low * bandwidth):.1f}" x2="{plot.x(high):.1f}" '
        f'y2="{plot.y(high * bandwidth):.1f}" stroke="currentColor" stroke-width="1.5"/>'
    )
    out.append(text(plot.x(low) + 10, plot.y(low * bandwidth) - 22, f"reading, {bandwidth / 1e9:.0f} GB/s"))
    return out


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tests = [p for path in sys.argv[1:] for p in points(path)]
    with open(sys.argv[1]) as file:
        machine = json.load(file)["machine"]
    top = max(machine.get("int8_macs_per_second", 0), machine["f32_macs_per_second"])
    plot = Plot((0.5, 10 ** math.ceil(math.log10(max(t["intensity"] for t in tests)))), (1e10, 2 * top))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'fill="currentColor" color="#333">',
        "<style>@media (prefers-color-scheme: dark) { svg { color: #ddd; background: #111 } }</style>",
    ]
    out += axes(plot) + roofs(plot, machine)
    for i, test in enumerate(tests):
        colour = COLOURS[i % len(COLOURS)]
        x, y = plot.x(test["intensity"]), plot.y(test["speed"])
        legend = TOP + 20 + 34 * i
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}"/>')
        out.append(text(x, y - 10, str(i + 1), "middle", 11))
        out.append(f'<circle cx="{WIDTH - RIGHT + 18}" cy="{legend - 4}" r="6" fill="{colour}"/>')
        out.append(text(WIDTH - RIGHT + 32, legend, f'{i + 1}  {test["label"]}', size=11))
        out.append(text(WIDTH - RIGHT + 32, legend + 13, f'{100 * test["share"]:.0f}% of its limit', size=10))
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
