exports.main = (params, { signal }) => new Promise((_, reject) => {
  console.log('begun');
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener('abort', () => reject(signal.reason));
});
