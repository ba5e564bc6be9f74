exports.main = (params) => {
  console.log('x'.repeat(1_000_000));
  return params;
};
