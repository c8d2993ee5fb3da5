# Runs pieces of code in one set of globals. sys.argv[1]: the descriptor on which code comes, sys.argv[2]: that on which we tell what
# became of it. Frames are as interpreter.rs has them. What is used here is taken by name, so that code may replace its modules' parts.
def _driver():
    import __future__
    import ast, base64, inspect, io, linecache, os, signal, struct, sys, threading, types
    from os import _exit, getpid, read, write
    from signal import SIG_IGN, SIGINT, default_int_handler, pthread_sigmask
    from traceback import format_exception, format_tb
    requests, results = int(sys.argv[1]), int(sys.argv[2])
    own, own_file, main_thread = getpid(), _driver.__code__.co_filename, threading.get_ident()
    LONGEST = 11 << 20
    set_handler, lock, loop, number, flags = signal.signal, threading.Lock(), None, 0, 0
    within, put_running = False, None
    await_at_top = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
    futures = [getattr(__future__, name).compiler_flag for name in __future__.all_feature_names]
    rich = [
        ("html", "text/html"), ("markdown", "text/markdown"), ("latex", "text/latex"), ("svg", "image/svg+xml"),
        ("png", "image/png"), ("jpeg", "image/jpeg"),
    ]

    def write_all(to, data):
        while data:
            data = data[write(to, data):]

    def encoded(text):
        # As standard error has it: what is no text is written out.
        return text[:LONGEST].encode("utf-8", "backslashreplace")[:LONGEST]

    def tell(kind, text=""):
        if getpid() != own:
            return
        data = encoded(text)
        # An interrupt waits until the frame is whole.
        before = pthread_sigmask(signal.SIG_BLOCK, [SIGINT])
        try:
            with lock:
                write_all(results, memoryview(struct.pack("<IB", len(data), ord(kind)) + data))
        finally:
            pthread_sigmask(signal.SIG_SETMASK, before)

    def forget():
        # A process that code has forked speaks to nobody in our name.
        for each in (requests, results):
            try:
                os.close(each)
            except OSError:
                pass

    def quiet():
        while True:
            try:
                return set_handler(SIGINT, SIG_IGN)
            except KeyboardInterrupt:
                pass  # It has come too late: the code is over.

    def interruptible(action):
        set_handler(SIGINT, default_int_handler)
        try:
            return action()
        finally:
            quiet()

    def show(result):
        tell("r", "text/plain\n" + repr(result))
        for name, media_type in rich:
            way = getattr(type(result), f"_repr_{name}_", None)
            data = None if way is None else way(result)
            data = data[0] if isinstance(data, tuple) and data else data
            data = base64.b64encode(data).decode() if isinstance(data, bytes) else data
            if isinstance(data, str):
                tell("r", media_type + "\n" + data)

    def display(*objects):
        for each in objects:
            show(each)

    # For whoever shows values himself: he puts a function in the place of `sys.displayhook`, and what it has as `source` and `finish`
    # is asked for the code that runs, and called after it in the place of our figures.
    display.result = lambda media_type, data: tell("r", media_type + "\n" + data)

    def other(name):
        return getattr(sys.displayhook, name, None)

    def figures():
        finish = other("finish")
        if finish is not None:
            return finish()
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        try:
            for each in pyplot.get_fignums():
                picture = io.BytesIO()
                pyplot.figure(each).savefig(picture, format="png")
                tell("r", "image/png\n" + base64.b64encode(picture.getvalue()).decode())
        finally:
            pyplot.close("all")

    def flush():
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()

    def take_part(events):
        # Code that waits for nothing runs while its loop stands still, and finds it running all the same, so that it can leave tasks
        # there. Who runs a loop himself, as `asyncio.run` does, looks here, and finds none in his way.
        nonlocal put_running
        running, put_running = events._get_running_loop, events._set_running_loop

        def found():
            found = running()
            return None if within and found is loop and not loop.is_running() else found

        def put(to):
            back = to is None and within and threading.get_ident() == main_thread and getpid() == own
            put_running(loop if back else to)

        events._get_running_loop, events._set_running_loop = found, put

    def prepare():
        # One that a thread of the code's runs is that thread's, and code gets another.
        nonlocal loop
        import asyncio
        if put_running is None:
            take_part(asyncio.events)
        if loop is None or loop.is_closed() or loop.is_running():
            loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return asyncio

    def within_loop(action):
        nonlocal within
        try:
            prepare()
        except Exception:
            return action()  # What code calls `asyncio` is another.
        try:
            within = True
            put_running(loop)
            return action()
        finally:
            leave_loop()

    def leave_loop():
        nonlocal within
        within = False
        if put_running is not None:
            put_running(None)

    def complete(coroutine):
        asyncio = prepare()
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
            if not task.cancelled():
                task.exception()
            raise

    def evaluate(tree, name, mode):
        nonlocal flags
        code = compile(tree, name, mode, flags | await_at_top, True)
        for future in futures:
            flags |= code.co_flags & future
        evaluated = lambda: eval(code, main.__dict__)
        if code.co_flags & inspect.CO_COROUTINE:
            return complete(evaluated())
        # It takes time to import, and most code does without.
        wanted = "asyncio" in sys.modules or "asyncio" in "".join(linecache.cache[name][2])
        return within_loop(evaluated) if wanted else evaluated()

    def run(code, name):
        source = other("source")
        code = code if source is None else source(code)
        # For tracebacks with the lines of the code.
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        tree = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, True)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        evaluate(tree, name, "exec")
        result = None if last is None else evaluate(ast.Expression(last.value), name, "eval")
        if result is not None:
            main.__dict__["_"] = result
            (show if sys.displayhook is sys.__displayhook__ else sys.displayhook)(result)

    def foreign(frames):
        # Those that are not ours, nor the loop's that runs the code.
        while frames is not None:
            file = frames.tb_frame.f_code.co_filename
            if file != own_file and "/asyncio/" not in file:
                return frames
            frames = frames.tb_next

    def first_of(*ways):
        for way in ways:
            try:
                return str(way())
            except BaseException:
                continue  # What cannot be said one way is said another.
        return "?"

    def describe(error):
        name = first_of(lambda: type(error).__name__, lambda: object.__repr__(error))
        value = first_of(lambda: error, lambda: f"<{name} that cannot say what it is>")
        frames = foreign(error.__traceback__)
        shown = first_of(
            lambda: "".join(format_exception(type(error), error, frames)),
            lambda: "".join(format_tb(frames)) + f"{name}: {value}\n",
            lambda: f"{name}: {value}\n",
        )
        return name, value, shown

    def code_of(end):
        # As Python itself ends.
        if end.code is None:
            return 0
        if isinstance(end.code, int):
            return end.code & 0xFF
        write_all(2, encoded(first_of(lambda: end.code, lambda: "exit") + "\n"))
        return 1

    def attempt(action, first):
        # The exit code, and what it raised is told; of several things the first, and the others are written.
        try:
            interruptible(action)
            return 0
        except SystemExit as end:
            code = interruptible(lambda: code_of(end))
            if first:
                tell("c", str(code))
            return code
        except BaseException as error:
            parts = interruptible(lambda: describe(error))
            if first and getpid() == own:
                for kind, text in zip("nvt", parts):
                    tell(kind, text)
            else:
                write_all(2, encoded(parts[2]))
            return 1

    def cell(code, name):
        result = 0
        for action in (lambda: run(code, name), figures, flush):
            result = attempt(action, result == 0) or result
        return result

    def idle():
        # What code has left in its loop goes on between calls.
        nonlocal loop
        leave_loop()
        while loop is not None and not loop.is_closed() and getpid() == own:
            ran = []
            try:
                ready = loop.create_future()
                loop.add_reader(requests, lambda: ready.done() or ready.set_result(None))
                loop.call_soon(ran.append, True)
                return loop.run_until_complete(ready)
            except BaseException as error:
                write_all(2, encoded(describe(error)[2]))
                if loop.is_running() or not ran:
                    # A thread of the code's runs it, or nobody can any more.
                    loop = None
                    return
            finally:
                try:
                    loop is None or loop.is_closed() or loop.remove_reader(requests)
                except Exception:
                    pass  # It has told already what is wrong with it.

    def take(length):
        data = b""
        while len(data) < length:
            piece = read(requests, length - len(data))
            if not piece:
                _exit(0)
            data += piece
        return data

    for each in (requests, results):
        os.set_inheritable(each, False)
    os.register_at_fork(after_in_child=forget)
    sys.argv, sys.path[0] = [""], ""
    main = types.ModuleType("__main__")
    main.__dict__["display"] = display
    sys.modules["__main__"] = main
    quiet()
    while True:
        idle()
        if getpid() != own:
            _exit(1)
        code = take(struct.unpack("<IB", take(5))[0]).decode()
        number += 1
        name = f"<cell {number}>"
        try:
            result = cell(code, name)
        except BaseException as error:
            # An interrupt that struck between two of the above.
            quiet()
            result = 1
            for kind, text in zip("nvt", describe(error)):
                tell(kind, text)
        if getpid() != own:
            _exit(result)
        tell("e")


_driver()
