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
            sys.stdout.write("belljar-chart:" + json.dumps(whole) + "\n")
            sys.stdout.flush()
        plt.close("all")

    plt.show = show


try:
    __charts()
except ImportError:
    # The code says itself that it is not there.
    pass
