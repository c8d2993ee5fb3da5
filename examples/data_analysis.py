"""Data analysis: a table goes in, code that nobody has read works on it, a chart comes out.

    belljar image build rootfs/python
    python3 examples/data_analysis.py [TABLE.csv] [--chart chart.png]

The code is what a model would have written. It runs in the image `python`, which has pandas and matplotlib, without a network.
"""

import argparse
import base64
import pathlib

from belljar import ChartType, CreateSandboxFromSnapshotParams, Daytona, Resources

TABLE = "month,city,rain\n" + "".join(
    f"{month},{city},{rain}\n"
    for city, all_rain in (("Bergen", (190, 152, 170, 114)), ("Lisbon", (110, 80, 68, 64)))
    for month, rain in zip(("Jan", "Feb", "Mar", "Apr"), all_rain)
)
CODE = """
import matplotlib.pyplot as plt
import pandas

table = pandas.read_csv("table.csv")
sums = table.groupby("city")["rain"].sum()
print(sums.to_string())

figure, axes = plt.subplots()
axes.bar(list(sums.index), list(sums.values), label="rain")
axes.set_title("Rain, January to April")
axes.set_ylabel("mm")
plt.show()
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=pathlib.Path, help="a CSV with the columns month, city and rain")
    parser.add_argument("--chart", type=pathlib.Path, default=pathlib.Path("chart.png"))
    options = parser.parse_args()
    table = options.table.read_bytes() if options.table else TABLE.encode()

    with Daytona() as daytona:
        sandbox = daytona.create(
            CreateSandboxFromSnapshotParams(snapshot="python", network_block_all=True, resources=Resources(memory=2))
        )
        sandbox.fs.upload_file(table, "table.csv")
        told = sandbox.process.code_run(CODE, timeout=120)
        print(told.result, end="")
        if told.exit_code != 0:
            return told.exit_code
        for chart in told.artifacts.charts:
            print(f"a {chart.type.value} chart, `{chart.title}`")
            if chart.type is ChartType.BAR:
                for bar in chart.elements:
                    print(f"  {bar.label:10} {bar.value:g} {chart.y_label}")
            if chart.png:
                options.chart.write_bytes(base64.b64decode(chart.png))
                print(f"its picture is {options.chart}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
