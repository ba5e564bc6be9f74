exports.main = () => {
  process.stdout.write(Buffer.from([0xff, 10]));
  console.log('\udcff');
  return 1;
};
