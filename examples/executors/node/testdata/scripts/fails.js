exports.main = () => {
  throw new RangeError('as asked');
};
