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
MOST_FOR_IMAGE_MS = 0.15
LEAST_RATE_RATIO = 1.5
MOST_MEMORY_KB = 3 * 1024
MOST_OF_UMOCI = 1.0
MOST_OF_TAR = 1.3


def machine():
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return f"Linux {platform.release().partition('-')[0]}, {models[0] if models else platform.machine()}, {cores} cores"


def times(out):
    """For each round and command all times in milliseconds."""
    rounds = []
    for path in sorted(out.glob("times-*.json")):
        results = json.loads(path.read_text())["results"]
        rounds.append({result["command"]: [time * 1000 for time in result["times"]] for result in results})
    return rounds


def rates(out, name, count):
    rounds = [line.split() for line in (out / f"rate-{name}").read_text().splitlines()]
    return [count / (float(end) - float(start)) for start, end in rounds]


IMPORTERS = {"belljar": "belljar image import", "umoci": "umoci unpack --rootless", "tar": "tar -x of its layer"}


def imports(out):
    """Seconds of each importer by the packing of the layer, in the order of the rounds."""
    seconds = {}
    for line in (out / "import").read_text().splitlines():
        packing, name, start, end = line.split()
        seconds.setdefault((packing, name), []).append(float(end) - float(start))
    return seconds


def row(*cells):
    print("| " + " | ".join(cells) + " |")


def main():
    out, count, ours, theirs = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    rounds = times(out)
    medians = [{name: statistics.median(of) for name, of in times.items()} for times in rounds]
    ours_at, theirs_at = rates(out, "belljar", count), rates(out, "bwrap", count)
    memory = int((out / "memory").read_text().split()[1])

    print(f"{machine()}; {ours}, {theirs}; uid {os.getuid()}\n")
    row("command", "median ms", "mean ms", "min ms", "deviation ms")
    row("---", "---:", "---:", "---:", "---:")
    for name in medians[0]:
        all_times = [time for times in rounds for time in times[name]]
        figures = (statistics.median, statistics.mean, min, statistics.stdev)
        row(name, *(f"{figure(all_times):.2f}" for figure in figures))
    print()
    row(f"{count} sandboxes, two at a time", "per second, median of the rounds")
    row("---", "---:")
    row("belljar", f"{statistics.median(ours_at):.0f}")
    row("bwrap", f"{statistics.median(theirs_at):.0f}")
    print()
    seconds = imports(out)
    row(f"the image `python` from an OCI layout, on {(out / 'import-on').read_text().strip()}", "seconds, median of the rounds")
    row("---", "---:")
    for (packing, name), of in seconds.items():
        row(f"{IMPORTERS[name]}, {packing}", f"{statistics.median(of):.2f}")
    print()

    of_bwrap = statistics.median(median["belljar"] / median["bwrap"] for median in medians)
    rate_ratio = statistics.median(mine / other for mine, other in zip(ours_at, theirs_at))
    # Other work on the machine only ever adds milliseconds: the quietest round tells what we cost.
    over_bare = min(median["belljar"] - median["bare"] for median in medians)
    for_image = min(median["belljar-image"] - median["belljar-static"] for median in medians)
    over_python = min(median["belljar-python"] - median["bare-python"] for median in medians)
    of_umoci, of_tar, of_zstd = (
        statistics.median(mine / other for mine, other in zip(seconds[packing, "belljar"], seconds[packing, name]))
        for packing, name in [("gzip", "umoci"), ("gzip", "tar"), ("zstd", "tar")]
    )
    goals = [
        ("start-up over bubblewrap's, median of the rounds", f"{of_bwrap:.2f}", f"at most {MOST_OF_BWRAP:.2f}", of_bwrap <= MOST_OF_BWRAP),
        ("rate over bubblewrap's, median of the rounds", f"{rate_ratio:.2f}", f"at least {LEAST_RATE_RATIO}", rate_ratio >= LEAST_RATE_RATIO),
        ("median added to a bare exec, quietest round", f"{over_bare:.2f} ms", f"at most {MOST_OVER_BARE_MS} ms", over_bare <= MOST_OVER_BARE_MS),
        ("median added to bare Python, quietest round", f"{over_python:.2f} ms", f"at most {MOST_OVER_PYTHON_MS} ms", over_python <= MOST_OVER_PYTHON_MS),
        ("median that an image of three layers adds, quietest round", f"{for_image:.2f} ms", f"at most {MOST_FOR_IMAGE_MS} ms", for_image <= MOST_FOR_IMAGE_MS),
        ("import over umoci's, median of the rounds", f"{of_umoci:.2f}", f"at most {MOST_OF_UMOCI:.2f}", of_umoci <= MOST_OF_UMOCI),
        ("import over `tar -x`, gzip, median of the rounds", f"{of_tar:.2f}", f"at most {MOST_OF_TAR:.2f}", of_tar <= MOST_OF_TAR),
        ("import over `tar -x`, zstd, median of the rounds", f"{of_zstd:.2f}", f"at most {MOST_OF_TAR:.2f}", of_zstd <= MOST_OF_TAR),
        ("peak memory of the supervisor", f"{memory} kB", f"at most {MOST_MEMORY_KB} kB", memory <= MOST_MEMORY_KB),
    ]
    row("promise", "measured", "target", "")
    row("---", "---:", "---:", "---")
    for name, measured, target, met in goals:
        row(name, measured, target, "pass" if met else "FAIL")
    sys.exit(0 if all(met for *_, met in goals) else 1)


main()
