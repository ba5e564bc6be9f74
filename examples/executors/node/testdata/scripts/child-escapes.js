exports.main = () => require('node:child_process').spawn('sleep', ['1000'], { detached: true, stdio: 'inherit' }).pid;
