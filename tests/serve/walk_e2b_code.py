"""Each part walks the code interpreter of E2B's own client against `belljar serve`: `walk_e2b_code.py PART`, `ok` at the end."""

import asyncio
import base64
import os
import sys
import time

from e2b import NotFoundException, SandboxException, TimeoutException
from e2b_code_interpreter import AsyncSandbox, Sandbox


def refused(kind, act, word=""):
    try:
        act()
    except kind as error:
        assert word in str(error), error
        return error
    raise AssertionError(f"nobody refused {word}")


def box(**more):
    return Sandbox.create(**{"allow_internet_access": False, **more})


def python():
    sandbox = box(envs={"GIVEN": "at first"})
    run = sandbox.run_code
    told = run("x = 41\nprint('so far')\nx + 1")
    assert (told.text, told.logs.stdout, told.logs.stderr, told.error) == ("42", ["so far\n"], [], None), told
    assert told.execution_count == 1 and told.results[0].is_main_result, told
    assert run("x += 1\nx").text == "42" and run("y = 1").text is None
    assert run("'a \"text\"'").text == 'a "text"'
    # Variables of the sandbox, of one call, and of no other.
    code = "import os\nos.environ['GIVEN'] + os.environ.get('MORE', '-')"
    assert [run(code, envs={"MORE": "+"}).text, run(code).text] == ["at first+", "at first-"]
    # While it runs.
    seen = []
    note = lambda message: seen.append((message.line, time.monotonic()))
    run("import sys, time\nprint('one')\ntime.sleep(1)\nprint('two', file=sys.stderr)", on_stdout=note, on_stderr=note)
    assert [line for line, _ in seen] == ["one\n", "two\n"] and seen[1][1] - seen[0][1] > 0.5, seen
    raised = run("def f():\n    return 1 / 0\nprint('before')\nf()")
    assert (raised.error.name, raised.error.value) == ("ZeroDivisionError", "division by zero"), raised
    assert "return 1 / 0" in raised.error.traceback and raised.logs.stdout == ["before\n"] and raised.text is None, raised
    assert run("1 +").error.name == "SyntaxError"
    assert run("import sys\nsys.exit(3)").error.name == "SystemExit"
    # As notebooks have it.
    assert run("    if True:\n        a = 5\n    a").text == "5"
    assert run("import asyncio\nawait asyncio.sleep(0, 'awaited')").text == "awaited"
    assert run("!echo from a shell\nb = 6\n%env KEPT=here\nb").logs.stdout == ["from a shell\n"]
    assert run("import os\nos.environ['KEPT']").text == "here"
    assert run("%%bash\necho $((6 * 7))").logs.stdout == ["42\n"]
    assert run("#" + "x" * 300000 + "\n'long'").text == "long"
    assert "".join(run("print('x' * 3000000)").logs.stdout) == "x" * 3000000 + "\n"
    # Results in all of their forms.
    rich = run(
        "class Rich:\n    def _repr_html_(self): return '<b>r</b>'\n    def _repr_json_(self): return {'a': [1]}\n"
        "    def _repr_png_(self): return b'\\x89PNG'\n    def __repr__(self): return 'rich'\n"
        "from IPython.display import display, HTML, Markdown\ndisplay(HTML('<i>1</i>'), Markdown('*2*'))\n"
        "display({'text/plain': 'raw', 'application/x-odd': 'odd'}, raw=True)\nRich()"
    )
    html, markdown, raw, main = rich.results
    assert (html.html, markdown.markdown, raw.text, raw.extra) == ("<i>1</i>", "*2*", "raw", {"application/x-odd": "odd"}), rich
    assert [one.is_main_result for one in rich.results] == [False, False, False, True], rich
    assert (main.text, main.html, main.json, base64.b64decode(main.png)) == ("rich", "<b>r</b>", {"a": [1]}, b"\x89PNG"), main
    assert sorted(main.formats()) == ["html", "json", "png", "text"], main.formats()
    # Who has no more time interrupts it, and what it remembers stays.
    refused(TimeoutException, lambda: run("import time\ntime.sleep(60)", timeout=1))
    begun = time.monotonic()
    assert run("x").text == "42" and time.monotonic() - begun < 20
    dead = run("import os\nos.kill(os.getpid(), 9)")
    assert dead.error.name == "ContextEnded", dead
    assert run("1 + 1").text == "2" and run("x").error.name == "NameError"
    # A sandbox that goes says so.
    import threading

    threading.Timer(1, sandbox.kill).start()
    refused(TimeoutException, lambda: run("import time\ntime.sleep(60)"))
    refused(TimeoutException, lambda: run("1"))


def contexts():
    sandbox = box()
    run = sandbox.run_code
    assert [one.language for one in sandbox.list_code_contexts()] == ["python", "javascript"]
    first, other = sandbox.create_code_context(cwd="/tmp"), sandbox.create_code_context(language="javascript")
    assert (first.cwd, first.language, other.language) == ("/tmp", "python", "javascript")
    assert run("import os\nos.getcwd()", context=first).text == "/tmp"
    run("z = 1", context=first)
    assert run("z").error.name == "NameError" and run("z", context=first).text == "1"
    assert run("var z = 2; z", context=other).text == "2"
    assert [one.id for one in sandbox.list_code_contexts()][2:] == [first.id, other.id]
    sandbox.restart_code_context(first)
    assert run("z", context=first).error.name == "NameError" and run("os", context=first).error.name == "NameError"
    sandbox.remove_code_context(first)
    assert [one.id for one in sandbox.list_code_contexts()][2:] == [other.id]
    refused(NotFoundException, lambda: run("1", context=first), "not found")
    refused(NotFoundException, lambda: sandbox.remove_code_context("nowhere"))
    refused(SandboxException, lambda: run("1", language="cobol"), "cobol")
    refused(SandboxException, lambda: sandbox.create_code_context(cwd="/nowhere"), "/nowhere")
    refused(Exception, lambda: run("1", language="python", context=other))
    # Another client finds the same.
    again = Sandbox.connect(sandbox.sandbox_id)
    assert again.run_code("z", context=other).text == "2"
    # Contexts are the sandbox's own.
    stranger = box()
    refused(NotFoundException, lambda: stranger.run_code("1", context=other))
    stranger.kill()
    told = run("cd /tmp; echo $PWD-$MORE; false", language="bash", envs={"MORE": "it's"})
    assert (told.logs.stdout, told.error.name, told.error.value) == (["/tmp-it's\n"], "ExitCode", "1"), told
    assert run("echo $PWD-$MORE", language="bash").logs.stdout == ["/tmp-\n"]
    sandbox.kill()


def scripts():
    sandbox = box(envs={"GIVEN": "yes"})
    run = lambda code, **more: sandbox.run_code(code, language="javascript", **more)
    told = run("console.log('so far'); const x = 41; x + 1")
    assert (told.text, told.logs.stdout, told.error) == ("42", ["so far\n"], None), told
    assert run("x").text == "41" and run("'text'").text == "text"
    assert run("Promise.resolve({ a: 1 })").text == "{ a: 1 }"
    assert run("await new Promise((done) => setTimeout(() => done(5), 50))").text == "5"
    assert run("import path, { join } from 'path';\nimport * as os from \"os\";\njoin('a', path.sep, typeof os.cpus)").text == "a/function"
    assert [run("process.env.GIVEN + process.env.MORE", envs={"MORE": "'+'"}).text, run("process.env.MORE").text] == ["yes'+'", None]
    raised = run("const f = () => { throw new TypeError('odd') }; f()")
    assert (raised.error.name, raised.error.value) == ("TypeError", "odd") and "f" in raised.error.traceback, raised
    assert run("Promise.reject(new RangeError('late'))").error.name == "RangeError"
    refused(TimeoutException, lambda: run("while (true) {}", timeout=1))
    assert run("x").text == "41"
    sandbox.kill()


def pictures():
    sandbox = box(template="python")
    told = sandbox.run_code(
        "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3], [4, 5, 6], label='up')\nplt.title('T')\nplt.xlabel('X')\nplt.show()"
    )
    (one,) = told.results
    assert base64.b64decode(one.png).startswith(b"\x89PNG") and one.text.startswith("<Figure"), one
    assert (one.chart.type, one.chart.title, one.chart.x_label) == ("line", "T", "X"), one.chart
    assert (one.chart.elements[0].label, one.chart.elements[0].points) == ("up", [(1, 4), (2, 5), (3, 6)]), one.chart
    told = sandbox.run_code(
        "fig, (a, b) = plt.subplots(1, 2)\na.bar(['p', 'q'], [1, 2])\nb.pie([1, 3], labels=['x', 'y'])\nfig"
    )
    whole = told.results[0].chart
    assert told.results[0].is_main_result and whole.type == "superchart", told
    assert [one.type for one in whole.elements] == ["bar", "pie"], whole
    assert [(one.label, one.value) for one in whole.elements[0].elements] == [("p", 1), ("q", 2)], whole
    frame = sandbox.run_code("import pandas\npandas.DataFrame({'a': [7, 8]})").results[0]
    assert frame.data == {"a": [7, 8]} and "<table" in frame.html and frame.is_main_result, frame
    sandbox.kill()


def concurrent():
    async def one(number):
        sandbox = await AsyncSandbox.create(allow_internet_access=False)
        seen = []
        told = await sandbox.run_code(f"print({number})\n{number} * 2", on_stdout=lambda message: seen.append(message.line))
        assert (told.text, seen) == (str(number * 2), [f"{number}\n"]), told
        context = await sandbox.create_code_context()
        both = await asyncio.gather(sandbox.run_code("n = 1\nn", context=context), sandbox.run_code("n = 2\nn"))
        assert [told.text for told in both] == ["1", "2"], both
        await sandbox.kill()

    async def all():
        await asyncio.gather(*(one(number) for number in range(4)))

    asyncio.run(all())


globals()[sys.argv[1]]()
print("ok", flush=True)
# The client's HTTP library (pyqwest) has threads of its own that abort the interpreter, now and then, when it ends before them.
os._exit(0)
