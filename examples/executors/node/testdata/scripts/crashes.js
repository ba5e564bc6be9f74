exports.main = () => {
  require('node:fs').writeSync(2, 'last words of a crash\n');
  process.kill(process.pid, 'SIGKILL');
  for (;;);
};
