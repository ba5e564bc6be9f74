exports.main = (params) => {
  globalThis.JSON = undefined;
  return params;
};
