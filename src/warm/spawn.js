// The Node of a template: looks whether modules can be loaded, and then has parked Nodes executed in sandboxes, by `fork.rs`.
//
// Runs as `node -e FILE`, with the socket that it is spoken to over as its standard input.
{
  const fs = require('fs');
  const path = require('path');

  const CHANNEL = 0;
  const say = (words) => fs.writeSync(CHANNEL, JSON.stringify(words));

  const begin = async () => {
    const message = Buffer.alloc(1 << 18);
    const length = fs.readSync(CHANNEL, message);
    if (length === 0) process.exit(0);
    const { preload } = JSON.parse(message.subarray(0, length));
    if (preload) await new Function('require', preload)(require);
  };

  // Never returns: loading it is what serves.
  const serve = () => {
    const file = path.join(require('os').tmpdir(), 'belljar-spawn.node');
    fs.writeFileSync(file, Buffer.from('@LIBRARY@', 'base64'));
    const modules = Object.keys(require('module')._cache).length;
    say({ ready: { version: process.versions.node, modules, rss: process.memoryUsage.rss() } });
    process.dlopen({ exports: {} }, file);
  };

  begin().then(serve).catch((error) => {
    say({ refused: { why: 'exception', what: String(error?.stack ?? error) } });
    process.exit(0);
  });
}
