# What E2B's clients expect of an interpreter beyond belljar's: each result as one object with all of its forms, `display`, lines that
# begin with ! or %, and variables for one call. Results are told as JSON, of the type that interpreter.rs takes.
def __front():
    import __main__, ast, base64, importlib.util, io, json, os, subprocess, sys, textwrap, types
    tell, figure_of = __main__.display.result, __figure
    forms = {
        "text/plain": "text", "text/html": "html", "text/markdown": "markdown", "image/svg+xml": "svg", "image/png": "png",
        "image/jpeg": "jpeg", "application/pdf": "pdf", "text/latex": "latex", "application/json": "json",
        "application/javascript": "javascript",
    }
    flags = ast.PyCF_ONLY_AST | getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
    missing, installed = object(), importlib.util.find_spec("IPython") is not None
    count, before = 0, {}

    def say(told):
        tell("application/vnd.belljar.e2b+json", json.dumps(told, default=str))

    def plain(data):
        return base64.b64encode(data).decode() if isinstance(data, bytes) else data

    def unquoted(text):
        return text[1:-1] if len(text) > 1 and text[0] in "'\"" and text[0] == text[-1] else text

    def told_of(forms_of, is_main):
        told, extra = {"is_main_result": is_main}, {}
        for media_type, data in forms_of.items():
            if media_type in forms:
                told[forms[media_type]] = plain(data)
            elif media_type != "application/vnd.belljar.frame":
                extra[media_type] = plain(data)
        if "application/vnd.belljar.frame" in forms_of:
            told["data"] = forms_of["application/vnd.belljar.frame"]
        if extra:
            told["extra"] = extra
        if isinstance(told.get("text"), str):
            told["text"] = unquoted(told["text"])
        if isinstance(told.get("json"), str):
            told["json"] = json.loads(told["json"])
        return told

    def forms_of(each):
        kind = type(each)
        told = {"text/plain": repr(each)}
        for media_type, name in forms.items():
            way = getattr(kind, f"_repr_{name}_", None) if name != "text" else None
            data = way(each) if callable(way) else None
            data = data[0] if isinstance(data, tuple) and data else data
            if data is not None:
                told[media_type] = data
        way = getattr(kind, "_repr_mimebundle_", None)
        bundle = way(each, include=None, exclude=None) if callable(way) else None
        told.update((bundle[0] if isinstance(bundle, tuple) else bundle) or {})
        if kind.__name__ == "DataFrame" and kind.__module__.startswith("pandas."):
            told["application/vnd.belljar.frame"] = each.to_dict(orient="list")
        return told

    def picture_of(figure):
        picture = io.BytesIO()
        figure.canvas.draw()
        figure.savefig(picture, format="png", bbox_inches="tight")
        return {**told_of({"text/plain": repr(figure), "image/png": picture.getvalue()}, False), "chart": figure_of(figure, "superchart")}

    def is_figure(each):
        module = sys.modules.get("matplotlib.figure")
        return module is not None and isinstance(each, module.Figure)

    def show(each, is_main):
        if is_figure(each):
            say({**picture_of(each), "is_main_result": is_main})
        else:
            say(told_of(forms_of(each), is_main))

    def display(*objects, raw=False, **_):
        for each in objects:
            if raw:
                say(told_of(dict(each), False))
            else:
                show(each, False)

    def figures():
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        try:
            for number in pyplot.get_fignums():
                say(picture_of(pyplot.figure(number)))
        finally:
            pyplot.close("all")

    def shell(line):
        sys.stdout.flush()
        subprocess.run(["/bin/sh", "-c", line], stdin=subprocess.DEVNULL)

    def line_of(line):
        # A line for a shell, or one of the directions that are known, as a statement on the same line.
        rest = line.lstrip()
        margin = line[: len(line) - len(rest)]
        word, _, more = rest.partition(" ")
        if rest.startswith("!"):
            return f"{margin}__belljar_shell({rest[1:]!r})"
        if word in ("%pip", "%conda"):
            tool = f"{sys.executable} -m pip" if word == "%pip" else "conda"
            return f"{margin}__belljar_shell({tool + ' ' + more!r})"
        if word in ("%matplotlib", "%autoreload", "%load_ext"):
            return f"{margin}pass"
        if word == "%cd":
            return f"{margin}__import__('os').chdir(__import__('os').path.expanduser({more.strip()!r}))"
        if word == "%env" and "=" in more:
            name, _, value = more.partition("=")
            return f"{margin}__import__('os').environ.__setitem__({name.strip()!r}, {value.strip()!r})"
        return line

    def source(code):
        nonlocal count, before
        head, _, code = code.partition("\n")
        wish = json.loads(head.partition(" ")[2])
        if "file" in wish:
            with open(wish["file"], encoding="utf-8") as file:
                code = file.read()
            os.unlink(wish["file"])
        count += 1
        say({"execution_count": count})
        before = {name: os.environ.get(name, missing) for name in wish["env"]}
        os.environ.update(wish["env"])
        if "IPython" in code:
            adopt()
        code = textwrap.dedent(code)
        first, _, rest = code.lstrip("\n").partition("\n")
        if first.split()[:1] in (["%%bash"], ["%%sh"]):
            return f"__belljar_shell({rest!r})"
        try:
            compile(code, "<cell>", "exec", flags)
        except SyntaxError:
            code = "\n".join(map(line_of, code.split("\n")))
        return code

    def adopt():
        # There is no shell of IPython's, and without one it prints what it should display.
        if not installed:
            return stand_in()
        import IPython.display
        IPython.display.display = display
        functions = sys.modules.get("IPython.core.display_functions")
        if functions is not None:
            functions.display = display

    def stand_in():
        # The names of IPython that code for notebooks uses, where it is not installed.
        def form(name, media_type):
            def begin(self, data=None, **_):
                self.data = data
            return type(name, (), {"__init__": begin, "_repr_mimebundle_": lambda self, **_: {media_type: self.data}})
        if "IPython" in sys.modules:
            return
        module, inner, core = (types.ModuleType(name) for name in ("IPython", "IPython.display", "IPython.core"))
        names = {
            "HTML": "text/html", "Markdown": "text/markdown", "Latex": "text/latex", "Math": "text/latex", "SVG": "image/svg+xml",
            "JSON": "application/json", "Javascript": "application/javascript",
        }
        for name, media_type in names.items():
            setattr(inner, name, form(name, media_type))

        class Image:
            def __init__(self, data=None, filename=None, format=None, **_):
                if data is None:
                    with open(filename, "rb") as file:
                        data = file.read()
                jpeg = (format or "").lower() in ("jpg", "jpeg") or data[:2] == b"\xff\xd8"
                self.kept = {"image/jpeg" if jpeg else "image/png": data}

            def _repr_mimebundle_(self, **_):
                return self.kept

        inner.Image, inner.display, inner.clear_output = Image, display, lambda *_, **__: None
        module.display, module.core, module.get_ipython = inner, core, lambda: None
        core.display = inner
        # Libraries that find it look at its age.
        module.__version__, module.version_info = "9.0.0", (9, 0, 0)
        sys.modules.update({"IPython": module, "IPython.display": inner, "IPython.core": core, "IPython.core.display": inner})

    def finish():
        try:
            figures()
        finally:
            for name, value in before.items():
                if value is missing:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def hook(value):
        show(value, True)

    hook.source, hook.finish = source, finish
    sys.displayhook = hook
    __main__.display, __main__.__dict__["__belljar_shell"] = display, shell
    # What `print` writes comes as one piece.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=False)


__front()
del __front, __figure
