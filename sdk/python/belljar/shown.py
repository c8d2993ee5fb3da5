"""Code that runs before code that shows charts. Written by generate.py: do not edit."""

SHOWN = '''# What charts of matplotlib show, as objects of JSON. `composite` is what clients call a figure of several.
def __figure(figure, composite):
    from matplotlib.container import BarContainer
    from matplotlib.collections import PathCollection
    from matplotlib.patches import Wedge

    def number(value):
        try:
            value = value.item()
        except AttributeError:
            pass
        return value if isinstance(value, (int, float)) else str(value)

    def lines(axes):
        marks = [line for line in axes.get_lines() if len(line.get_xdata())]
        return [{"label": str(line.get_label()), "points": [[number(x), number(y)] for x, y in zip(line.get_xdata(), line.get_ydata())]} for line in marks]

    def points(axes):
        groups = [group for group in axes.collections if isinstance(group, PathCollection)]
        return [{"label": str(group.get_label()), "points": [[number(x), number(y)] for x, y in group.get_offsets()]} for group in groups]

    def bars(axes):
        names = [label.get_text() for label in axes.get_xticklabels()]
        told = []
        for container in axes.containers:
            if isinstance(container, BarContainer):
                for at, bar in enumerate(container):
                    label = names[at] if at < len(names) and names[at] else str(number(bar.get_x() + bar.get_width() / 2))
                    told.append({"label": label, "group": str(container.get_label()), "value": number(bar.get_height())})
        return told

    def slices(axes):
        wedges = [patch for patch in axes.patches if isinstance(patch, Wedge)]
        return [{"label": str(wedge.get_label()), "angle": number(wedge.theta2 - wedge.theta1), "radius": number(wedge.r)} for wedge in wedges]

    def chart(axes):
        told = {
            "title": axes.get_title(), "x_label": axes.get_xlabel(), "y_label": axes.get_ylabel(), "x_unit": None, "y_unit": None,
            "x_ticks": [number(tick) for tick in axes.get_xticks()], "x_tick_labels": [label.get_text() for label in axes.get_xticklabels()],
            "x_scale": axes.get_xscale(), "y_ticks": [number(tick) for tick in axes.get_yticks()],
            "y_tick_labels": [label.get_text() for label in axes.get_yticklabels()], "y_scale": axes.get_yscale(),
        }
        for kind, elements in (("pie", slices(axes)), ("bar", bars(axes)), ("scatter", points(axes)), ("line", lines(axes))):
            if elements:
                return {"type": kind, "elements": elements, **told}
        return {"type": "unknown", "elements": [], **told}

    parts = [chart(axes) for axes in figure.get_axes()]
    title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    return parts[0] if len(parts) == 1 else {"type": composite, "title": title, "elements": parts}


# Charts of matplotlib as clients read them: `show` writes each figure as a line of JSON, in the place of a window.
def __charts():
    import base64, io, json, os, sys
    os.environ.setdefault("MPLBACKEND", "Agg")
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    def show(*args, **kwargs):
        for figure in map(plt.figure, plt.get_fignums()):
            figure.canvas.draw()
            picture = io.BytesIO()
            figure.savefig(picture, format="png", bbox_inches="tight")
            whole = __figure(figure, "composite_chart")
            whole["png"] = base64.b64encode(picture.getvalue()).decode()
            sys.stdout.write("belljar-chart:" + json.dumps(whole) + "\\n")
            sys.stdout.flush()
        plt.close("all")

    plt.show = show


try:
    __charts()
except ImportError:
    # The code says itself that it is not there.
    pass
'''
