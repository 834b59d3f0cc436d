"""Records how botocore writes requests, for requests.txt: python3 record.py < cases.txt > requests.txt

A case is a line: the folder of the service in botocore, the operation, and the input as JSON, as a universal target has it.
"""
import json
import sys

import botocore
import botocore.session
from botocore.serialize import create_serializer

session = botocore.session.get_session()


def native(shape, value):
    """The input as botocore takes it: its names, and bytes for blobs; times may stay texts."""
    if shape.type_name == "structure":
        names = {name.lower(): name for name in shape.members}
        return {names[k.lower()]: native(shape.members[names[k.lower()]], v) for k, v in value.items()}
    if shape.type_name == "list":
        return [native(shape.member, v) for v in value]
    if shape.type_name == "map":
        return {k: native(shape.value, v) for k, v in value.items()}
    if shape.type_name == "blob":
        return value.encode()
    return value


print(f"# Requests as botocore {botocore.__version__} writes them; record.py has made this file.\n")
for line in sys.stdin:
    if not line.strip() or line.startswith("#"):
        continue
    folder, operation, text = line.split(" ", 2)
    model = session.get_service_model(folder)
    protocol = next(p for p in ("json", "rest-json", "query", "ec2") if p in [model.protocol] + (model.metadata.get("protocols") or []))
    shape = model.operation_model(operation)
    request = create_serializer(protocol, False).serialize_to_request(native(shape.input_shape, json.loads(text)), shape)
    body = request["body"]
    if isinstance(body, dict):
        body = json.dumps(body, sort_keys=True)
    elif isinstance(body, bytes):
        body = body.decode()
        if protocol in ("json", "rest-json") and body.startswith("{") and "Payload" not in text and "payload" not in text:
            body = json.dumps(json.loads(body), sort_keys=True)
    print("service", model.metadata["serviceId"].replace(" ", "").lower(), operation)
    print("input", text.strip())
    print("call", request["method"], request["url_path"])
    query = request.get("query_string") or {}
    print("query", json.dumps(query, sort_keys=True))
    headers = {k: v for k, v in request["headers"].items() if k.lower() not in ("x-amzn-query-mode",)}
    print("header", json.dumps(headers, sort_keys=True))
    print("body", body)
    print()
