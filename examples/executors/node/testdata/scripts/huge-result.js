exports.main = () => 'x'.repeat(4 << 20);
