const fs = require('node:fs');

exports.main = () => {
  const line = Buffer.alloc(1_000_001, 'x');
  line[1_000_000] = 10;
  for (const descriptor of [1, 2]) {
    for (let at = 0; at < line.length; ) at += fs.writeSync(descriptor, line, at);
  }
  return line.length;
};
