#!/usr/bin/env python3
"""Draws the dashboards beside it from what a Prometheus answers to their own queries, for the documentation.

    python3 ops/grafana/draw.py http://127.0.0.1:9090 300 docs/pictures          the last 300 seconds
    python3 ops/grafana/draw.py http://127.0.0.1:9090 300 docs/pictures 60       the 300 seconds until a minute ago

Needs matplotlib, which brings Pillow. It is no Grafana: layout, titles, units and queries are those of the JSON files, the drawing is ours.
"""

import json
import math
import pathlib
import sys
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import MultipleLocator
from PIL import Image

HERE = pathlib.Path(__file__).parent
COLOURS = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300", "#447ebc", "#c15c17"]
BACK, PANEL, INK, FAINT = "#111217", "#181b1f", "#d0d3d8", "#2c3036"


def ask(base, path, **arguments):
    """Prometheus' answer."""
    with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(arguments)}") as answer:
        return json.load(answer)["data"]["result"]


def filled(query):
    """A query as Grafana sends it."""
    return query.replace("$__rate_interval", "20s").replace("$instance", ".*")


def named(legend, labels):
    """The legend of a series."""
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return " ".join(part for part in legend.split() if not part.startswith("{{"))


def shown(value, unit):
    """A number in its unit, short."""
    if value is None or math.isnan(value):
        return "-"
    if unit == "bool":
        return "yes" if value else "no"
    if unit == "dateTimeFromNow":
        return f"{(time.time() - value / 1000) / 60:.0f} min ago"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        for size, name in ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.0f} s"
    if unit in ("bytes", "Bps"):
        for size, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}" + ("/s" if unit == "Bps" else "")
        return f"{value:.0f} B"
    if abs(value) >= 10_000:
        return f"{value / 1000:.4g} k"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text + {"ops": "/s", "reqps": "/s"}.get(unit, "")


def draw(base, seconds, end, dashboard, path):
    """One dashboard as a picture."""
    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(15, rows * 0.34 + 0.5), facecolor=BACK)
    for panel in panels:
        at = panel["gridPos"]
        unit = panel["fieldConfig"]["defaults"]["unit"]
        height = rows + 1.4
        axes = figure.add_axes([(at["x"] + 1.1) / 24.2, 1 - (at["y"] + at["h"] + 0.3) / height, (at["w"] - 1.25) / 24.2, (at["h"] - 1.5) / height],
                               facecolor=PANEL)
        axes.set_title(panel["title"], color=INK, fontsize=9, loc="left", pad=3)
        axes.tick_params(colors="#8a8f98", labelsize=6.5, length=0)
        for side in axes.spines.values():
            side.set_color(FAINT)
        if panel["type"] == "stat":
            found = ask(base, "query", query=filled(panel["targets"][0]["expr"]), time=end)
            text = shown(float(found[0]["value"][1]), unit) if found else "-"
            axes.text(0.5, 0.45, text, color="#7eb26d", fontsize=17, ha="center", va="center", transform=axes.transAxes)
            axes.set_xticks([])
            axes.set_yticks([])
            continue
        series = []
        for target in panel["targets"]:
            for one in ask(base, "query_range", query=filled(target["expr"]), start=end - seconds, end=end, step=max(5, seconds // 120)):
                points = [(float(when) - end, float(value)) for when, value in one["values"]]
                series.append((named(target["legendFormat"], one["metric"]), points))
        series = [(name, [point for point in points if math.isfinite(point[1])]) for name, points in series]
        series = sorted((one for one in series if one[1]), key=lambda one: -max(value for _, value in one[1]))[:10]
        axes.grid(color=FAINT, linewidth=0.5)
        axes.yaxis.set_major_formatter(lambda value, _, unit=unit: shown(value, unit))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 60:+.1f} min".replace(".0", "") if value else "now")
        axes.set_xlim(-seconds, 0)
        axes.xaxis.set_major_locator(MultipleLocator(max(60, seconds // 5)))
        stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
        below = {}
        for number, (name, points) in enumerate(series):
            colour = COLOURS[number % len(COLOURS)]
            xs = [when for when, _ in points]
            lower = [below.get(round(when), 0.0) if stacked else 0.0 for when in xs]
            ys = [value + base_ for (_, value), base_ in zip(points, lower)]
            axes.plot(xs, ys, color=colour, linewidth=1, label=name)
            axes.fill_between(xs, lower, ys, color=colour, alpha=0.25 if stacked else 0.05, linewidth=0)
            below.update((round(when), value) for when, value in zip(xs, ys))
        if series:
            lowest, highest = (pick(value for _, points in series for _, value in points) for pick in (min, max))
            axes.set_ylim(bottom=min(0, lowest), top=None if highest > 0 else 1)
            if unit == "bool":
                axes.set_yticks([0, 1])
            axes.legend(loc="upper left", fontsize=5.5, labelcolor=INK, facecolor=PANEL, edgecolor="none", framealpha=0.6, ncol=2 if len(series) > 5 else 1)
        else:
            axes.text(0.5, 0.5, "nothing yet", color="#6b7078", fontsize=8, ha="center", transform=axes.transAxes)
    figure.text(0.008, 1 - 0.55 / (rows + 1.4), dashboard["title"], color=INK, fontsize=13, weight="bold", va="center")
    figure.savefig(path, dpi=76, facecolor=BACK)
    plt.close(figure)
    # A palette makes it a third of the size.
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(250, method=Image.Quantize.MAXCOVERAGE)
    small.save(path, optimize=True)


def main():
    """All dashboards."""
    base, seconds, folder = sys.argv[1].rstrip("/"), int(sys.argv[2]), pathlib.Path(sys.argv[3])
    end = time.time() - (int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    for file in sorted(HERE.glob("*.json")):
        draw(base, seconds, end, json.loads(file.read_text(encoding="utf-8")), folder / f"dashboard-{file.stem}.png")


if __name__ == "__main__":
    main()
