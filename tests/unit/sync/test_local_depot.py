"""The depot that is started for a command, and ends with it whatever it does."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from backhaul.sync import local_depot
from backhaul.sync.local_depot import running_depot

# Answers as a depot does, and does not end when nobody needs it any more.
_STUBBORN = """\
    #!{python}
    import http.server, pathlib, signal, sys
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
        def log_message(self, *_):
            pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    folder = pathlib.Path(sys.argv[sys.argv.index("--data") + 1])
    (folder / "api-key").write_text("key")
    (folder / "address").write_text(f"http://127.0.0.1:{{server.server_port}} http://sign-in")
    print("ready", flush=True)
    server.serve_forever()
"""


def test_a_depot_that_does_not_stop_costs_the_command_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command has done is done."""
    program = tmp_path / "program"
    program.write_text(textwrap.dedent(_STUBBORN).format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(local_depot.sys, "executable", str(program))
    monkeypatch.setattr(local_depot, "_SECONDS_TO_STOP", 0.2)
    with running_depot(tmp_path / "data") as depot:
        assert depot.api_key == "key"
