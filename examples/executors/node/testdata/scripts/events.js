exports.main = function* (params, context) {
  context.progress(0.5, 'half way');
  context.log.info('hello');
  yield* [1, 2, 3];
};
