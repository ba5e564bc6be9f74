exports.main = () => require('node:child_process').spawn('sleep', ['1000']).pid;
