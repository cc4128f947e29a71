"""The results as Markdown tables and SVG charts."""

from __future__ import annotations

from math import exp, log, log10
from pathlib import Path
from typing import Any

from benchmarks.operations import OPERATIONS

TITLES = {operation.name: operation.title for operation in OPERATIONS}
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL/MariaDB"}
COLORS = {"orm": "#d6336c", "raw": "#495057"}


def write(run: dict[str, Any], directory: Path, name: str) -> list[Path]:
    """Write `<name>.md` and a chart for each database; returns the files."""
    written = [directory / f"{name}.md"]
    written[0].write_text(markdown(run))
    for kind, result in run["databases"].items():
        if result["operations"]:
            chart = directory / f"{name}-{kind}.svg"
            chart.write_text(svg(f"{NAMES[kind]}: times of the driver's, by operation", result, run["machine"]))
            written.append(chart)
    return written


# Figures.


def medians(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The median seconds of each subject by operation."""
    return {
        subject: {operation: sample["median"] for operation, sample in samples.items()}
        for subject, samples in result["operations"].items()
    }


def geometric_mean(ratios: list[float]) -> float:
    """The geometric mean; 0 if there are no values."""
    return exp(sum(map(log, ratios)) / len(ratios)) if ratios else 0.0


def mean_ratio(mine: dict[str, float], theirs: dict[str, float]) -> tuple[float, int]:
    """The geometric mean of the ratios over the operations that both did, and their number."""
    ratios = [mine[operation] / theirs[operation] for operation in mine if operation in theirs]
    return geometric_mean(ratios), len(ratios)


def fastest_peer(times_by_subject: dict[str, dict[str, float]], operation: str) -> tuple[str, float] | None:
    """The fastest subject other than orm and the driver, with its median."""
    peers = {name: times[operation] for name, times in times_by_subject.items() if operation in times}
    peers = {name: seconds for name, seconds in peers.items() if name not in ("orm", "raw")}
    if not peers:
        return None
    name = min(peers, key=lambda name: peers[name])
    return name, peers[name]


# Markdown.


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def milliseconds(seconds: float) -> str:
    """Milliseconds with about three digits."""
    value = seconds * 1000
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(run: dict[str, Any]) -> str:
    """All tables."""
    machine = run["machine"]
    text = [
        f"# Benchmarks of {machine['time']}\n",
        f"{machine['processor']}, {machine['processors']} processors, {machine['memory'] / 2**30:.0f} GiB,"
        f" {machine['system']}, Python {machine['python']}; commit {machine['commit']}. Load before the run:"
        f" {machine['load_before'] or 0:.1f}.\n",
    ]
    if run["quick"]:
        text.append(
            "A quick run, of 4 posts for each user in place of 20: good for finding mistakes, not for figures.\n"
        )
    if run["defaults"]:
        text.append("Every subject with the defaults of its own.\n")
    else:
        text.append("Pools of 8 connections each; SQLite with WAL and synchronous=NORMAL for everyone.\n")
    for kind, result in run["databases"].items():
        text += database(kind, result)
    if run["not_installed"]:
        text.append("## Not installed\n")
        text += [f"- {name}: {reason}" for name, reason in run["not_installed"].items()]
    return "\n".join(text) + "\n"


def database(kind: str, result: dict[str, Any]) -> list[str]:
    """The tables of one database."""
    times_by_subject = medians(result)
    subjects = list(times_by_subject)
    text = [f"## {NAMES[kind]}\n", f"{result['server']}. Versions: {versions(result['versions'])}.\n"]
    if times_by_subject:
        text += ["Milliseconds, the median; in brackets orm's quartiles.\n", times(result, subjects)]
        if "orm" in times_by_subject:
            text += ["orm's time divided by another's: below 1 orm is faster.\n", ratios(times_by_subject)]
        text += ["CPU milliseconds of the subject's process; memory it grew by at most, in MiB.\n", costs(result)]
    if result["service"]:
        rows = [
            [name, f"{figures['per_second']:.0f}", milliseconds(figures["p50"]), milliseconds(figures["p99"])]
            for name, figures in sorted(result["service"].items(), key=lambda item: -item[1]["per_second"])
        ]
        text += ["The FastAPI service, one process, 32 connections.\n"]
        text.append(table(["subject", "requests/s", "p50 ms", "p99 ms"], rows))
    if result["no_time_for"]:
        text.append(f"No time was left for: {', '.join(TITLES[name] for name in result['no_time_for'])}.\n")
    if result["missing"]:
        text.append("Missing:\n")
        for name, reasons in result["missing"].items():
            if isinstance(reasons, str):
                text.append(f"- {name}: {reasons}")
            else:
                text += [
                    f"- {name}, {TITLES.get(what, what)}: {first_line(reason)}" for what, reason in reasons.items()
                ]
        text.append("")
    return text


def first_line(reason: str) -> str:
    """The first line of a reason, which may be a driver's error with its SQL."""
    return reason.splitlines()[0]


def versions(packages_by_subject: dict[str, dict[str, str]]) -> str:
    """Every subject with the versions of its packages."""
    return "; ".join(
        f"{subject} ({', '.join(f'{name} {number}' for name, number in packages.items())})"
        for subject, packages in packages_by_subject.items()
    )


def times(result: dict[str, Any], subjects: list[str]) -> str:
    """The medians of all operations."""
    rows = []
    for operation, title in TITLES.items():
        row = [title]
        for subject in subjects:
            sample = result["operations"][subject].get(operation)
            text = "–" if sample is None else milliseconds(sample["median"])
            if sample and subject == "orm":
                text += f" ({' – '.join(map(milliseconds, sample['quartiles']))})"
            row.append(text)
        if any(cell != "–" for cell in row[1:]):
            rows.append(row)
    return table(["operation", *subjects], rows)


def ratios(times_by_subject: dict[str, dict[str, float]]) -> str:
    """The ratios of orm to each subject, and to the fastest peer of each operation."""
    others = [name for name in times_by_subject if name != "orm"]
    rows, best = [], []
    for operation, title in TITLES.items():
        mine = times_by_subject["orm"].get(operation)
        if mine is None:
            continue
        row = [title]
        row += [
            f"{mine / times_by_subject[name][operation]:.2f}" if operation in times_by_subject[name] else "–"
            for name in others
        ]
        if peer := fastest_peer(times_by_subject, operation):
            best.append(mine / peer[1])
            row.append(f"{'**' if best[-1] > 1 else ''}{best[-1]:.2f}{'**' if best[-1] > 1 else ''} ({peer[0]})")
        else:
            row.append("–")
        rows.append(row)
    means = [mean_ratio(times_by_subject["orm"], times_by_subject[name])[0] for name in others]
    rows.append(["*geometric mean*", *(f"{mean:.2f}" for mean in means), f"{geometric_mean(best):.2f}"])
    return table(["operation", *others, "fastest peer"], rows)


def costs(result: dict[str, Any]) -> str:
    """CPU time and memory."""
    rows = []
    for operation, title in TITLES.items():
        samples = [seconds_by_subject.get(operation) for seconds_by_subject in result["operations"].values()]
        if any(samples):
            rows.append(
                [title]
                + [
                    f"{milliseconds(sample['cpu'])} / {sample['memory_grown'] / 2**20:.0f}" if sample else "–"
                    for sample in samples
                ]
            )
    seconds_by_subject = {
        subject: {operation: sample["cpu"] for operation, sample in samples.items()}
        for subject, samples in result["operations"].items()
    }
    if "orm" in seconds_by_subject:
        means = [mean_ratio(seconds_by_subject["orm"], seconds_by_subject[name])[0] for name in seconds_by_subject]
        rows.append(["*orm's CPU time by theirs*", *(f"{mean:.2f}" for mean in means)])
    return table(["operation", *result["operations"]], rows)


# The chart: a row for each operation, a dot for each subject, on a logarithmic scale of the driver's time.

WIDTH, LEFT, RIGHT, STEP, TOP = 900, 210, 20, 22, 70


def svg(title: str, result: dict[str, Any], machine: dict[str, Any]) -> str:
    """A self-contained SVG chart for light and dark pages."""
    times_by_subject = medians(result)
    driver = times_by_subject.get("raw", {})
    dots = {
        operation: {
            name: times[operation] / driver[operation] for name, times in times_by_subject.items() if operation in times
        }
        for operation in TITLES
        if operation in driver
    }
    low = min(min(row.values()) for row in dots.values())
    high = max(max(row.values()) for row in dots.values())
    first, last = log10(low) - 0.05, log10(high) + 0.05

    def x(ratio: float) -> float:
        return LEFT + (log10(ratio) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    height = TOP + STEP * len(dots) + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        ' font-size="12" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="20" font-size="15">{title}</text>',
    ]
    at = 10
    for i, name in enumerate(times_by_subject):
        parts.append(f'<circle cx="{at + 5}" cy="40" r="5" fill="{color(name, i)}"/>')
        parts.append(f'<text x="{at + 14}" y="44">{name}</text>')
        at += 34 + 7 * len(name)
    for ratio in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if low <= ratio <= high or ratio == 1:
            stroke = "#868e96" if ratio == 1 else "#dee2e6"
            parts.append(f'<path d="M{x(ratio):.1f} {TOP - 8}V{height - 50}" stroke="{stroke}"/>')
            parts.append(f'<text x="{x(ratio):.1f}" y="{height - 36}" text-anchor="middle">{ratio:g} ×</text>')
    for row, (operation, ratios) in enumerate(dots.items()):
        y = TOP + row * STEP
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{TITLES[operation]}</text>')
        for i, name in enumerate(times_by_subject):
            if name in ratios:
                radius = 6 if name == "orm" else 4
                parts.append(
                    f'<circle cx="{x(ratios[name]):.1f}" cy="{y}" r="{radius}" fill="{color(name, i)}"'
                    f' fill-opacity="0.85"><title>{name}: {ratios[name]:.2f}</title></circle>'
                )
    where = (
        f"{result['server']}; {machine['processor']}, {machine['processors']} processors, Python {machine['python']}"
    )
    parts.append(f'<text x="10" y="{height - 12}" fill="#495057">{where}; {machine["time"]}</text>')
    return "\n".join([*parts, "</svg>\n"])


PALETTE = ("#1c7ed6", "#2f9e44", "#f08c00", "#7048e8", "#0c8599", "#a61e4d", "#5c940d", "#e8590c", "#364fc7")


def color(name: str, i: int) -> str:
    """A subject's colour."""
    return COLORS.get(name) or PALETTE[i % len(PALETTE)]
