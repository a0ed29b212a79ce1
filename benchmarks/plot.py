"""One picture: how many times faster than the best rival, beside the ratio to reach."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from outcome import Outcome, machine

INK = "#222222"
COLORS = {True: "#2b7a78", False: "#c8553d", None: "#8a8a8a"}


def draw(path: Path, title: str, outcomes: Sequence[Outcome]) -> None:
    """Horizontal bars on a logarithmic axis; a black tick marks the ratio to reach."""
    shown = [outcome for outcome in reversed(outcomes) if outcome.ratio is not None]
    if not shown:
        return
    ratios = [outcome.ratio or 0.0 for outcome in shown]
    colors = [COLORS[outcome.reached] for outcome in shown]
    figure, axes = plt.subplots(figsize=(8, 0.32 * len(shown) + 1.4), layout="constrained")
    axes.barh(range(len(shown)), ratios, color=colors, height=0.62)
    for position, (ratio, outcome) in enumerate(zip(ratios, shown, strict=True)):
        target = outcome.row.target or 0.0
        if target:
            axes.plot([target, target], [position - 0.42, position + 0.42], color=INK, linewidth=2)
        axes.text(max(ratio, target) * 1.06, position, f"{ratio:.2f}", va="center", fontsize=8, color=INK)
    axes.set_xscale("log")
    axes.set_xlim(min(0.5, *ratios) * 0.9, max(*ratios, 5.0) * 1.5)
    axes.axvline(1, color="#999999", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(shown)), [outcome.row.title for outcome in shown], fontsize=8)
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if axes.get_xlim()[0] < tick < axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    where = machine()
    axes.set_xlabel("times as fast as the best rival (black tick: to reach)", fontsize=9)
    place = f"{where['cpu']}, {where['cores']} cores, {where['date'][:10]}"
    axes.set_title(f"bfio, {title}, {place}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
