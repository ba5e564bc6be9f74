exports.main = (params, context) => {
  console.log(context.task_id);
  return params;
};
