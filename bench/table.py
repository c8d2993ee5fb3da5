"""Turns the measurements of bench/run into a table, and compares them with the targets."""

import json
import os
import platform
import statistics
import sys
from pathlib import Path

# What we promise. A figure beyond its target is a regression, or a machine with other work to do.
MOST_OF_BWRAP = 0.70
MOST_OVER_BARE_MS = 2.3
MOST_OVER_PYTHON_MS = 3.0
LEAST_RATE_RATIO = 1.5
MOST_MEMORY_KB = 3 * 1024


def machine():
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return f"Linux {platform.release()}, {models[0] if models else platform.machine()}, {cores} cores"


def times(out):
    results = json.loads((out / "times.json").read_text())["results"]
    return {result["command"]: {key: result[key] * 1000 for key in ("median", "mean", "min", "stddev")} for result in results}


def rate(out, name, count):
    rounds = [line.split() for line in (out / f"rate-{name}").read_text().splitlines()]
    return count / statistics.median(float(end) - float(start) for start, end in rounds)


def row(*cells):
    print("| " + " | ".join(cells) + " |")


def main():
    out, count, ours, theirs = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    time = times(out)
    median = {name: figures["median"] for name, figures in time.items()}
    rates = {name: rate(out, name, count) for name in ("belljar", "bwrap")}
    memory = int((out / "memory").read_text().split()[1])

    print(f"{machine()}; {ours}, {theirs}; uid {os.getuid()}\n")
    row("command", "median ms", "mean ms", "min ms", "deviation ms")
    row("---", "---:", "---:", "---:", "---:")
    for name, figures in time.items():
        row(name, *(f"{figures[key]:.2f}" for key in ("median", "mean", "min", "stddev")))
    print()
    row(f"{count} sandboxes, two at a time", "per second")
    row("---", "---:")
    for name, per_second in rates.items():
        row(name, f"{per_second:.0f}")
    print()

    over_bare = median["belljar"] - median["bare"]
    over_python = median["belljar-python"] - median["bare-python"]
    of_bwrap = median["belljar"] / median["bwrap"]
    rate_ratio = rates["belljar"] / rates["bwrap"]
    goals = [
        ("start-up over bubblewrap's", f"{of_bwrap:.2f}", f"at most {MOST_OF_BWRAP:.2f}", of_bwrap <= MOST_OF_BWRAP),
        ("added to a bare exec", f"{over_bare:.2f} ms", f"at most {MOST_OVER_BARE_MS} ms", over_bare <= MOST_OVER_BARE_MS),
        ("added to bare Python", f"{over_python:.2f} ms", f"at most {MOST_OVER_PYTHON_MS} ms", over_python <= MOST_OVER_PYTHON_MS),
        ("rate over bubblewrap's", f"{rate_ratio:.2f}", f"at least {LEAST_RATE_RATIO}", rate_ratio >= LEAST_RATE_RATIO),
        ("peak memory of the supervisor", f"{memory} kB", f"at most {MOST_MEMORY_KB} kB", memory <= MOST_MEMORY_KB),
    ]
    row("medians", "measured", "target", "")
    row("---", "---:", "---:", "---")
    for name, measured, target, met in goals:
        row(name, measured, target, "pass" if met else "FAIL")
    sys.exit(0 if all(met for *_, met in goals) else 1)


main()
