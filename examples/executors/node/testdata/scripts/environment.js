exports.main = () => ({ ...process.env });
