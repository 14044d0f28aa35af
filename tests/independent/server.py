"""The real server as a process, for tests in Python."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BINARY = os.environ["RINGHALL_BIN"]
PASSWORD = "ringhall-demo"

# What a host application would share with the server.
ISSUER = "test-host"
SECRET = "a-secret-that-only-this-test-knows-0123456789"


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


class Server:
    """`ringhall serve --demo` on free ports and an SQLite file of its own; a context manager."""

    def __init__(self, **options):
        self.folder = tempfile.mkdtemp(prefix="ringhall-test-")
        self.port = free_port()
        self.media_port = free_port(socket.SOCK_DGRAM)
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("RINGHALL_")}
        self.environment |= {
            "RINGHALL_DATA_DIR": self.folder,
            "RINGHALL_HTTP_LISTEN": f"127.0.0.1:{self.port}",
            "RINGHALL_MEDIA_LISTEN": f"0.0.0.0:{self.media_port}",
            "RINGHALL_AUTH_ISSUER": ISSUER,
            "RINGHALL_AUTH_SECRET": SECRET,
            **options,
        }

    def __enter__(self):
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [BINARY, "serve", "--demo"], env=self.environment, stdout=self.log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 60
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = self.log_text()
                self.__exit__()
                raise RuntimeError(f"the server did not start:\n{text}")
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.05)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def resident_kib(self):
        """Memory of the process in KiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

    def token(self, identity, *grants, room="demo"):
        """A token as an operator makes one, with the binary itself."""
        arguments = [BINARY, "token", "--room", room, "--identity", identity, *grants]
        done = subprocess.run(arguments, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def request(self, method, path, body=None, token=None, content_type="application/json"):
        """(status, headers, body); an error status is an answer, not an exception."""
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Content-Type", content_type)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def mint(self, **claims):
        """A token as a host application signs it (HS256, RFC 7519), with any claims whatever."""

        def part(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

        claims = {"iss": ISSUER, "exp": int(time.time()) + 600, **claims}
        signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
        signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
        return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()

    def sign_in(self, login):
        """A user's token, by the same route as the page."""
        status, _, body = self.request("POST", "/api/v1/session", json.dumps({"login": login, "password": PASSWORD}))
        assert status == 200, (status, body)
        return json.loads(body)["token"]
