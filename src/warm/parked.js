// A parked Node: loads modules, waits on descriptor 3 for one piece of code, becomes what a fresh Node would be, and runs it.
//
// Node cannot fork, so one is started in each sandbox beforehand. A request is what `request.rs` writes, and comes as to a copy of
// Python. Runs as `node -e FILE -- PRELOAD`, so that the globals of code that comes as text are there already; in a block, so that it
// leaves no names behind.
{
  const fs = require('fs');
  const os = require('os');
  const path = require('path');
  const vm = require('vm');
  const Module = require('module');
  // Whatever a preload does to it.
  const { parse, stringify } = JSON;

  const CHANNEL = 3;
  // The names that `-e` gives to code besides Node's libraries, and that a file's code does not find; and libraries that it finds.
  const GIVEN = ['module', 'exports', '__dirname', '__filename', 'require'];
  const EVERYWHERE = ['console', 'process', 'crypto'];
  const preload = process.argv[1];
  // The module of code that comes as text. Node takes it away at this file's end.
  const given = globalThis.module;
  // Node's own loader for `import()`, in versions that let it be named.
  const loader = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;

  const say = (words) => fs.writeSync(CHANNEL, stringify(words));
  const script = (code, name) => new vm.Script(code, { filename: name, importModuleDynamically: loader });

  // Loads what code touches first, while nobody waits: streams as standard output is one, `console`, the loader. Standard output itself
  // is left alone, because Node makes a pipe non-blocking, and code that writes to its descriptor would find it so.
  const rehearse = async () => {
    const { Writable } = require('stream');
    const nowhere = new Writable({ write: (part, encoding, done) => done() });
    new console.Console(nowhere).log('%s', { list: [1] });
    new (require('net').Socket)({ readable: false, writable: true });
    require('tty');
    // That the loader is named so is an experiment, Node says once: not to the code.
    const { emitWarning } = process;
    process.emitWarning = () => {};
    const loaded = script(loader ? "import('fs')" : '0', '[eval]').runInThisContext({ displayErrors: true });
    process.emitWarning = emitWarning;
    await loaded;
  };

  // Waits, as long as it takes to load `receive.rs`: then 0, 1 and 2 are the run's, and 3 is the request.
  const receive = () => {
    const file = path.join(os.tmpdir(), `belljar-${process.pid}.node`);
    fs.writeFileSync(file, Buffer.from('@LIBRARY@', 'base64'));
    process.dlopen({ exports: {} }, file);
    fs.unlinkSync(file);
    const request = Buffer.alloc(fs.fstatSync(CHANNEL).size);
    fs.readSync(CHANNEL, request, 0, request.length, 0);
    fs.closeSync(CHANNEL);
    return parse(request);
  };

  // Becomes it; how the code is run.
  const become = ({ code, name, argv, env, cwd }) => {
    for (const key of Object.keys(process.env)) if (!(key in env)) delete process.env[key];
    Object.assign(process.env, env);
    process.chdir(cwd);
    return name.startsWith('<') ? text(code, name, cwd, argv.slice(1)) : file(code, name, argv.slice(1));
  };

  // What child processes are started without: it is not there to be assigned.
  const evaluated = (code) => Object.defineProperty(process, '_eval', { value: code, enumerable: true, configurable: true });

  const text = (code, name, cwd, words) => {
    const known = name === '<string>' ? '[eval]' : '[stdin]';
    process.argv = [process.execPath, ...(name === '<string>' ? [] : ['-']), ...words];
    process.execArgv = name === '<string>' ? ['-e', code] : [];
    evaluated(code);
    globalThis.module = given;
    globalThis.__filename = known;
    given.filename = path.join(cwd, known);
    given.paths = Module._nodeModulePaths(cwd);
    try {
      if (!loader && /\bimport\b/.test(code)) throw new SyntaxError('a loader is needed');
      const compiled = script(code, known);
      return () => compiled.runInThisContext({ displayErrors: true });
    } catch {
      // What is no script may be a module, or Node says what is wrong with it: a fresh one, which loads what this one has.
      return () => afresh(cwd, ['-e', code, '--', ...words]);
    }
  };

  const file = (code, name, words) => {
    process.argv = [process.execPath, name, ...words];
    process.execArgv = [];
    evaluated(undefined);
    const libraries = Module.builtinModules.filter((library) => {
      return Object.getOwnPropertyDescriptor(globalThis, library)?.enumerable === false && !EVERYWHERE.includes(library);
    });
    for (const known of [...GIVEN, ...libraries]) delete globalThis[known];
    if (!fs.existsSync(name)) {
      fs.mkdirSync(path.dirname(name), { recursive: true });
      fs.writeFileSync(name, code, { mode: 0o444 });
    }
    return () => Module.runMain(name);
  };

  const afresh = (cwd, words) => {
    if (preload) {
      const first = path.join(os.tmpdir(), `belljar-${process.pid}.cjs`);
      const from = stringify(path.join(cwd, '[eval]'));
      fs.writeFileSync(first, `require('fs').unlinkSync(__filename); new Function('require', ${stringify(preload)})(require('module').createRequire(${from}))`);
      words = ['-r', first, ...words];
    }
    const { status, signal, error } = require('child_process').spawnSync(process.execPath, words, { stdio: 'inherit' });
    if (error) throw error;
    if (signal) process.kill(process.pid, signal);
    process.exitCode = status;
  };

  const wait = () => {
    say({ pid: process.pid });
    // By itself, so that no frame of this file stands below the code's.
    setImmediate(become(receive()));
  };

  // A preload fails at once, in a promise of its own, or by ending everything.
  const refuse = (why, what) => {
    process.removeListener('exit', exits);
    say({ refused: { why, what } });
    process.exit(125);
  };
  const fails = (error) => refuse('exception', String(error?.stack ?? error));
  const exits = (code) => refuse('exit', String(code));
  const failures = { exit: exits, uncaughtException: fails, unhandledRejection: fails };

  const begin = async () => {
    for (const [event, hears] of Object.entries(failures)) process.on(event, hears);
    if (preload) new Function('require', preload)(require);
    await rehearse();
    // What it has left to be done is done, or has failed.
    await new Promise((done) => setImmediate(done));
    for (const [event, hears] of Object.entries(failures)) process.removeListener(event, hears);
  };
  begin().then(() => setImmediate(wait), fails);
}
