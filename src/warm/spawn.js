// The Node of a template: has parked Nodes executed in sandboxes, by `fork.rs`.
//
// Runs as `node -e FILE`, with the socket that it is spoken to over as its standard input.
{
  const fs = require('fs');
  const path = require('path');

  const CHANNEL = 0;
  const say = (words) => fs.writeSync(CHANNEL, JSON.stringify(words));

  // What is to be loaded is loaded in the parked ones, and nowhere else: while one of them is executed, this process's memory is shared
  // with what has capabilities.
  const begin = () => {
    if (fs.readSync(CHANNEL, Buffer.alloc(1 << 18)) === 0) process.exit(0);
  };

  // Never returns: loading it is what serves.
  const serve = () => {
    const file = path.join(require('os').tmpdir(), 'belljar-spawn.node');
    fs.writeFileSync(file, Buffer.from('@LIBRARY@', 'base64'));
    const modules = Object.keys(require('module')._cache).length;
    say({ ready: { version: process.versions.node, modules, rss: process.memoryUsage.rss() } });
    process.dlopen({ exports: {} }, file);
  };

  begin();
  serve();
}
