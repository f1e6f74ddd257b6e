"""Sends the signals of a run to receivers that others wrote: `receivers.py DHENARA WORK`.

The official packages of OpenTelemetry parse every line of the files and every message, over each protocol, and rotel takes the
same. Each has to get as many spans, metrics and log records as the files hold. Prints a row for each, and fails if one does.
"""

import base64
import concurrent.futures
import http.server
import importlib.util
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

SIGNALS = {
    "traces": (trace_service_pb2, "Trace", ("resource_spans", "scope_spans", "spans"), "trace.jsonl"),
    "metrics": (metrics_service_pb2, "Metrics", ("resource_metrics", "scope_metrics", "metrics"), "metrics.jsonl"),
    "logs": (logs_service_pb2, "Logs", ("resource_logs", "scope_logs", "log_records"), "logs.jsonl"),
}

FLOW = {
    "schema_version": 1,
    "kind": "flow",
    "elements": [
        {"node": f"step_{number}", "type": "command", "settings": {"commands": [["echo", "hi"]]}} for number in range(5)
    ],
}


def request_of(signal):
    module, name, _, _ = SIGNALS[signal]
    return getattr(module, f"Export{name}ServiceRequest")


def response_of(signal):
    module, name, _, _ = SIGNALS[signal]
    return getattr(module, f"Export{name}ServiceResponse")


def count(signal, request):
    _, _, (resources, scopes, records), _ = SIGNALS[signal]
    within = (scope for resource in getattr(request, resources) for scope in getattr(resource, scopes))
    return sum(len(getattr(scope, records)) for scope in within)


def in_base64(value):
    """OTLP/JSON has ids in hexadecimal digits, the JSON of Protocol Buffers in base64."""
    if isinstance(value, list):
        return [in_base64(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    changed = {}
    for key, item in value.items():
        is_id = key in ids and isinstance(item, str)
        changed[key] = base64.b64encode(bytes.fromhex(item)).decode() if is_id else in_base64(item)
    return changed


def parsed_json(signal, text):
    return json_format.ParseDict(in_base64(json.loads(text)), request_of(signal)())


class Received:
    """The numbers of records that arrived, by signal."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(SIGNALS, 0)

    def add(self, signal, request):
        with self.lock:
            self.counts[signal] += count(signal, request)


def http_receiver(received):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            signal = self.path.removeprefix("/v1/")
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-type"] == "application/json":
                request = parsed_json(signal, body)
                answer = b"{}"
            else:
                request = request_of(signal).FromString(body)
                answer = response_of(signal)().SerializeToString()
            received.add(signal, request)
            self.send_response(200)
            self.send_header("content-type", self.headers["content-type"])
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", server.shutdown


def grpc_receiver(received):
    def servicer(base, signal):
        def export(self, request, context):
            received.add(signal, request)
            return response_of(signal)()

        return type(signal, (base,), {"Export": export})()

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        servicer(trace_service_pb2_grpc.TraceServiceServicer, "traces"), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
        servicer(metrics_service_pb2_grpc.MetricsServiceServicer, "metrics"), server
    )
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
        servicer(logs_service_pb2_grpc.LogsServiceServicer, "logs"), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return f"http://127.0.0.1:{port}", lambda: server.stop(None)


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


class Rotel:
    """The agent of the package rotel, which writes what it receives to its log."""

    def __init__(self, work):
        package = importlib.util.find_spec("rotel").submodule_search_locations[0]
        self.grpc, self.http = free_port(), free_port()
        self.log = work / "rotel.log"
        arguments = [f"--otlp-grpc-endpoint=127.0.0.1:{self.grpc}", f"--otlp-http-endpoint=127.0.0.1:{self.http}"]
        for signal in SIGNALS:
            arguments += ["--debug-log", signal]
        self.process = subprocess.Popen(
            [f"{package}/rotel-agent", "start", *arguments, "--debug-log-verbosity", "basic", "--exporter", "blackhole"],
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(work)},
        )
        for port in (self.grpc, self.http):
            wait_for(port)

    def counts(self):
        """The numbers of records in its log: a line for each message says how many there are."""
        text = re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text())
        found = dict.fromkeys(SIGNALS, 0)
        words = {"traces": "spans", "metrics": "metrics", "logs": "logs"}
        for signal, word in words.items():
            found[signal] = sum(int(number) for number in re.findall(rf"\b{word}\s*[=:]\s*(\d+)", text))
        return found

    def stop(self):
        self.process.terminate()
        self.process.wait()


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


class Dhenara:
    """The command, in a project of its own."""

    def __init__(self, program, work):
        self.program = program
        self.project = work / "project"
        (self.project / ".dhenara").mkdir(parents=True)
        (self.project / "flow.json").write_text(json.dumps(FLOW))
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(work), "DHENARA_ORIGIN_KEY": "07" * 32}

    def call(self, *arguments):
        done = subprocess.run(
            [self.program, *arguments], cwd=self.project, env=self.environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise SystemExit(f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def push(self, endpoint, protocol):
        self.call("trace", "push", "last", "--again", "--endpoint", endpoint, "--protocol", protocol)


def in_files(run):
    """The numbers of records in the files of a run, each line of which the official packages parse."""
    counts = {}
    for signal, (_, _, _, name) in SIGNALS.items():
        lines = (run / ".trace" / name).read_text().splitlines()
        counts[signal] = sum(count(signal, parsed_json(signal, line)) for line in lines)
    return counts


def histograms_in_files(run):
    lines = (run / ".trace" / "metrics.jsonl").read_text().splitlines()
    requests = (parsed_json("metrics", line) for line in lines)
    metrics = (
        metric
        for request in requests
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
    return sum(metric.HasField("histogram") for metric in metrics)


def main():
    program, work = sys.argv[1], pathlib.Path(sys.argv[2])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    dhenara = Dhenara(program, work)
    dhenara.call("run", "flow.json", "--quiet")
    run = pathlib.Path(dhenara.call("runs", "path", "last").strip())
    wanted = in_files(run)
    if not wanted["traces"] or not wanted["metrics"]:
        raise SystemExit(f"the files lack records: {wanted}")
    rows = []
    for protocol, start in [("http/protobuf", http_receiver), ("http/json", http_receiver), ("grpc", grpc_receiver)]:
        received = Received()
        endpoint, stop = start(received)
        dhenara.push(endpoint, protocol)
        stop()
        rows.append(("opentelemetry-proto", protocol, received.counts, wanted))
    for protocol in ("http/protobuf", "http/json", "grpc"):
        rotel = Rotel(work)
        dhenara.push(f"http://127.0.0.1:{rotel.grpc if protocol == 'grpc' else rotel.http}", protocol)
        time.sleep(1)
        rotel.stop()
        taken = dict(wanted)
        if protocol == "http/json":
            # It does not read the counts of histograms as texts, which the JSON of OTLP has, and drops such metrics.
            taken["metrics"] -= histograms_in_files(run)
        rows.append(("rotel", protocol, rotel.counts(), taken))
    failed = False
    for receiver, protocol, counts, wanted in rows:
        failed |= counts != wanted
        print(f"{'ok  ' if counts == wanted else 'FAIL'} {receiver:<20} {protocol:<14} {counts} of {wanted}")
    sys.exit(failed)


main()
