exports.main = () => Buffer.alloc(512 << 20, 'x').length;
