# Runs pieces of code in one set of globals. sys.argv[1]: fifo of requests, sys.argv[2]: fifo of results; a line of JSON each.
def _driver():
    import ast, base64, io, json, linecache, os, signal, sys, traceback, types
    requests = open(sys.argv[1], buffering=1)
    results = open(sys.argv[2], "w", buffering=1)
    for stream in (requests, results):
        os.set_inheritable(stream.fileno(), False)
    sys.argv = [""]
    sys.path[0] = ""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    number = 0

    def tell(message):
        results.write(json.dumps(message) + "\n")

    def value(result):
        if result is None:
            return
        main.__dict__["_"] = result
        tell({"result": {"media_type": "text/plain", "data": repr(result)}})
        rich = getattr(type(result), "_repr_html_", None)
        if rich is not None:
            text = rich(result)
            if isinstance(text, str):
                tell({"result": {"media_type": "text/html", "data": text}})

    def figures():
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        for each in pyplot.get_fignums():
            picture = io.BytesIO()
            pyplot.figure(each).savefig(picture, format="png")
            tell({"result": {"media_type": "image/png", "data": base64.b64encode(picture.getvalue()).decode()}})
        pyplot.close("all")

    def run(code, name):
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), main.__dict__)
        if last is not None:
            value(eval(compile(ast.Expression(last.value), name, "eval"), main.__dict__))

    for line in requests:
        code = json.loads(line)["code"]
        number += 1
        name = f"<cell {number}>"
        # For tracebacks with the lines of the code.
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        try:
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                run(code, name)
                figures()
            except SystemExit as end:
                if end.code not in (None, 0):
                    print(f"exit: {end.code}", file=sys.stderr)
            except BaseException as error:
                first = error.__traceback__
                while first is not None and first.tb_frame.f_code.co_filename != name:
                    first = first.tb_next
                shown = "".join(traceback.format_exception(type(error), error, first))
                tell({"error": {"name": type(error).__name__, "value": str(error), "traceback": shown}})
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except BaseException:
            pass
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        tell("done")


_driver()
