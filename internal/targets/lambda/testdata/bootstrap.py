"""A custom runtime in a page: takes events from the Lambda Runtime API and answers with the total of each."""
import json
import os
from urllib.request import Request, urlopen

api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"


def handle(event):
    if "fail" in event["detail"]:
        raise ValueError(event["detail"]["fail"])
    return {"total": event["detail"]["total"]}


while True:
    with urlopen(api + "next") as response:
        headers, event = response.headers, json.load(response)
    request = headers["Lambda-Runtime-Aws-Request-Id"]
    if "RELAY" in os.environ:  # tells somebody what came with the event
        urlopen(Request(os.environ["RELAY"], headers={
            "Request": request,
            "Deadline": headers["Lambda-Runtime-Deadline-Ms"],
            "Arn": headers["Lambda-Runtime-Invoked-Function-Arn"],
            "Trace": headers["Lambda-Runtime-Trace-Id"],
        }))
    try:
        result, end = handle(event), "/response"
    except Exception as error:
        result, end = {"errorType": type(error).__name__, "errorMessage": str(error)}, "/error"
    urlopen(api + request + end, data=json.dumps(result).encode())
