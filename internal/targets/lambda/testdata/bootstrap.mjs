// A custom runtime in a page: takes events from the Lambda Runtime API and answers with the total of each.
const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/`;

function handle(event) {
  if (event.detail.fail) throw new Error(event.detail.fail);
  return { total: event.detail.total };
}

for (;;) {
  const next = await fetch(api + "next");
  const request = next.headers.get("lambda-runtime-aws-request-id");
  let end = "/response", result;
  try {
    result = handle(await next.json());
  } catch (error) {
    [end, result] = ["/error", { errorType: error.name, errorMessage: error.message }];
  }
  await fetch(api + request + end, { method: "POST", body: JSON.stringify(result) });
}
