"""Settings and keys: the same places, the same precedence as wandb."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backhaul.errors import ConfigurationError, NoCredentials
from backhaul.wire.credentials import find_api_key
from backhaul.wire.hosts import page_of
from backhaul.wire.remote import RunAddress
from backhaul.wire.settings import Settings, load_settings

KEY = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def home(tmp_path):
    """An empty home directory."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def cwd(tmp_path):
    """An empty working directory."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_without_anything_the_defaults_of_wandb_sync_hold(home, cwd):
    """Somebody who set nothing reaches the server that `wandb sync` 0.31 reaches."""
    assert load_settings({}, cwd, home) == Settings(base_url="https://api.forge.coreweave.com", http_timeout=30.0)


def test_environment_wins_over_workspace_and_workspace_over_user(home, cwd):
    """Each value comes from the strongest place that has it."""
    user = write(
        home / ".config/wandb/settings", "[default]\nentity = user\nproject = user\nbase_url = http://user:1\n"
    )
    workspace = write(cwd / "wandb/settings", "[default]\nentity = workspace\nproject = workspace\n")
    settings = load_settings({"WANDB_ENTITY": "environment"}, cwd, home)
    assert (settings.entity, settings.project, settings.base_url) == ("environment", "workspace", "http://user:1")
    assert settings.sources == (user, workspace)


def test_other_places_of_the_files_are_honoured(home, cwd):
    """WANDB_CONFIG_DIR moves the user's file, and a `.wandb` folder hides `wandb`."""
    write(home / "cfg/settings", "[default]\nentity = moved\n")
    write(cwd / "wandb/settings", "[default]\nproject = shown\n")
    write(cwd / ".wandb/settings", "[default]\nproject = hidden\n")
    settings = load_settings({"WANDB_CONFIG_DIR": "~/cfg"}, cwd, home)
    assert (settings.entity, settings.project) == ("moved", "hidden")


def test_all_other_settings_are_read(home, cwd):
    """Timeout, headers, user, proxies and globs have the names that wandb gives them."""
    env = {
        "WANDB_HTTP_TIMEOUT": "45",
        "WANDB_X_EXTRA_HTTP_HEADERS": '{"X-Team": "ml"}',
        "WANDB_USERNAME": "ann",
        "WANDB_USER_EMAIL": "ann@example.org",
        "WANDB_HTTPS_PROXY": "http://p:1%41",
        "WANDB_INSECURE_DISABLE_SSL": "True",
        "WANDB_IGNORE_GLOBS": "*.ckpt,*.tmp",
    }
    settings = load_settings(env, cwd, home)
    assert settings.http_timeout == 45.0
    assert settings.extra_headers == {"X-Team": "ml"}
    assert (settings.username, settings.email) == ("ann", "ann@example.org")
    assert settings.https_proxy == "http://p:1%41"
    assert settings.insecure_disable_ssl is True
    assert settings.ignore_globs == ("*.ckpt", "*.tmp")
    assert load_settings({"WANDB__EXTRA_HTTP_HEADERS": '{"A": "b"}'}, cwd, home).extra_headers == {"A": "b"}


@pytest.mark.parametrize("text", ["no section\n", "[default]\nx\n= y\n", "[default]\na=1\na=2\n"])
def test_broken_settings_file_counts_as_empty_and_is_told(home, cwd, text):
    """A broken file stops nobody (as for wandb), and the user learns of it."""
    broken = write(cwd / "wandb/settings", text)
    settings = load_settings({}, cwd, home)
    assert settings.entity is None
    assert len(settings.warnings) == 1
    assert str(broken) in settings.warnings[0]


def test_percent_sign_in_a_settings_file_is_a_percent_sign(home, cwd):
    """A proxy's password may hold one."""
    write(cwd / "wandb/settings", "[default]\nhttps_proxy = http://me:100%@p:1\n")
    assert load_settings({}, cwd, home).https_proxy == "http://me:100%@p:1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.wandb.ai/", "https://api.wandb.ai"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://wandb.example.org/prefix/", "https://wandb.example.org/prefix"),
        ("https://forge.coreweave.com/api/wandb", "https://api.forge.coreweave.com"),
    ],
)
def test_base_url_is_normalised_as_by_wandb(home, cwd, url, expected):
    """The same address in another spelling is the same server."""
    assert load_settings({"WANDB_BASE_URL": url}, cwd, home).base_url == expected


@pytest.mark.parametrize(
    "api",
    [
        "https://api.wandb.ai",
        "https://api.qa.wandb.ai",
        "https://api.forge.coreweave.com",
        "https://api.wandb.example.org/",
        "https://api.acme.org",
        "https://acme.wandb.io",
        "http://localhost:8080",
    ],
)
def test_a_run_s_page_is_where_wandb_says(api):
    """The pages of a server are on another host than its API in some places."""
    from wandb.util import api_to_app_url

    site = api_to_app_url(api)
    assert page_of(api, RunAddress("ada", "my project", "a1b2")) == f"{site}/ada/my%20project/runs/a1b2"


@pytest.mark.parametrize(
    "url",
    [
        "wandb.ai",
        "ftp://x",
        "https://wandb.ai",
        "https://app.wandb.ai",
        "http://api.wandb.ai",
        "https://forge.coreweave.com/wandb",
        "https://host:port",
        "https://a b",
        "https://",
    ],
)
def test_base_url_that_cannot_work_is_refused_before_anything_is_sent(home, cwd, url):
    """The address of the web page in place of the API's is the most common mistake."""
    with pytest.raises(ConfigurationError, match="is not the address of a W&B server"):
        load_settings({"WANDB_BASE_URL": url}, cwd, home)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WANDB_HTTP_TIMEOUT", "soon"),
        ("WANDB_HTTP_TIMEOUT", "-1"),
        ("WANDB_HTTP_TIMEOUT", "nan"),
        ("WANDB_X_EXTRA_HTTP_HEADERS", '{"A": '),
        ("WANDB_X_EXTRA_HTTP_HEADERS", '{"secret": 1}'),
    ],
)
def test_unusable_value_is_a_configuration_error_that_names_its_variable(home, cwd, variable, value):
    """The user learns which variable to mend; headers, which may be secret, are not repeated."""
    with pytest.raises(ConfigurationError, match=variable) as caught:
        load_settings({variable: value}, cwd, home)
    assert "secret" not in str(caught.value.as_json())


def test_key_never_shows_in_the_representation_of_settings(home, cwd):
    """Settings may be logged."""
    settings = load_settings({"WANDB_API_KEY": KEY, "WANDB_X_EXTRA_HTTP_HEADERS": '{"A": "s3cret"}'}, cwd, home)
    assert settings.api_key == KEY
    assert KEY not in repr(settings)
    assert "s3cret" not in repr(settings)


def netrc(path: Path, *entries: tuple[str, str]) -> Path:
    """A netrc file as wandb writes it."""
    return write(path, "".join(f"machine {host}\n  login user\n  password {key}\n" for host, key in entries))


@pytest.mark.parametrize(
    ("base_url", "machine"),
    [
        ("https://api.wandb.ai", "api.wandb.ai"),
        ("http://localhost:8080", "localhost:8080"),
        ("https://api.forge.coreweave.com", "api.forge.coreweave.com"),
        ("https://api.forge.coreweave.com", "api.wandb.ai"),
        ("https://api.wandb.ai", "api.forge.coreweave.com"),
    ],
)
def test_key_is_found_in_netrc_under_every_name_of_the_deployment(home, base_url, machine):
    """A key that `wandb login` stored under an older name of the same service still serves."""
    netrc(home / ".netrc", ("elsewhere", OTHER), (machine, KEY))
    assert find_api_key(base_url, Settings(base_url), {}, home) == KEY


def test_key_of_another_port_is_not_taken(home):
    """`host:port` names a machine; its neighbour's key is none of ours."""
    netrc(home / ".netrc", ("localhost:8080", KEY))
    with pytest.raises(NoCredentials):
        find_api_key("http://localhost:9090", Settings("http://localhost:9090"), {}, home)


def test_environment_wins_over_netrc_and_netrc_over_settings(home):
    """The order is wandb's."""
    netrc(home / ".netrc", ("h", OTHER))
    settings = Settings("https://h", api_key="c" * 40)
    assert find_api_key("https://h", settings, {"WANDB_API_KEY": f" {KEY}\n"}, home) == KEY
    assert find_api_key("https://h", settings, {}, home) == OTHER
    (home / ".netrc").unlink()
    assert find_api_key("https://h", settings, {}, home) == "c" * 40


def test_key_from_settings_is_for_its_own_server_only(home):
    """A stored key must not be sent to a server that was only named on the command line."""
    with pytest.raises(NoCredentials):
        find_api_key("https://other", Settings("https://h", api_key=KEY), {}, home)


def test_netrc_lies_where_the_environment_says_or_in_its_windows_place(home):
    """NETRC moves the file; `_netrc` is read where there is no `.netrc`."""
    netrc(home / "_netrc", ("h", OTHER))
    assert find_api_key("https://h", Settings("https://h"), {}, home) == OTHER
    netrc(home / "elsewhere", ("h", KEY))
    assert find_api_key("https://h", Settings("https://h"), {"NETRC": "~/elsewhere"}, home) == KEY


def test_default_entry_of_netrc_counts_only_if_it_can_be_a_key(home):
    """Somebody's FTP password is not sent to a W&B server."""
    write(home / ".netrc", "default login ftp password hunter2\n")
    with pytest.raises(NoCredentials):
        find_api_key("https://h", Settings("https://h"), {}, home)
    write(home / ".netrc", f"default login user password {KEY}\n")
    assert find_api_key("https://h", Settings("https://h"), {}, home) == KEY


def test_missing_key_is_told_with_every_place_and_the_way_to_log_in(home):
    """The error says where was looked, how to log in, and that a depot needs no key."""
    settings = Settings("https://h", identity_token_file="/token")
    with pytest.raises(NoCredentials) as caught:
        find_api_key("https://h", settings, {}, home)
    message = caught.value.message
    assert "WANDB_API_KEY is not set" in message
    assert str(home / ".netrc") in message
    assert "identity tokens are not supported yet" in message
    assert "wandb login" in caught.value.next
    assert "--to depot" in caught.value.next


def test_broken_netrc_is_told_without_its_content(home):
    """A line that cannot be read is named by its number; passwords stay out."""
    write(home / ".netrc", f"machine h\n  login user\n  passwort {KEY}\n")
    with pytest.raises(NoCredentials, match="line 3") as caught:
        find_api_key("https://h", Settings("https://h"), {}, home)
    assert KEY not in str(caught.value.as_json())


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_key_that_no_header_can_carry_is_refused_without_showing_it(home, key):
    """A slip of the clipboard is told as such."""
    with pytest.raises(NoCredentials) as caught:
        find_api_key("https://h", Settings("https://h"), {"WANDB_API_KEY": key}, home)
    assert key not in str(caught.value.as_json())


_ASK_WANDB = """
import json, wandb
from wandb.sdk import wandb_setup
from wandb.sdk.lib.wbauth import wbnetrc
s = wandb_setup.singleton().settings
print(json.dumps({
    "base_url": s.base_url, "entity": s.entity, "project": s.project, "username": s.username, "email": s.email,
    "timeout": s.x_graphql_timeout_seconds, "headers": s.x_extra_http_headers, "https_proxy": s.https_proxy,
    "insecure": s.insecure_disable_ssl, "key": wbnetrc.read_netrc_auth(host=s.base_url),
}))
"""


def test_the_installed_wandb_reads_the_same_from_the_same_places(home, cwd):
    """The real SDK, in a process of its own with the same home and environment, is the measure."""
    write(home / ".config/wandb/settings", "[default]\nentity = user\nproject = user\n")
    write(cwd / "wandb/settings", "[default]\nproject = workspace\nbase_url = http://127.0.0.1:8080/\n")
    netrc(home / ".netrc", ("127.0.0.1:8080", KEY))
    env = {
        "HOME": str(home),
        "WANDB_USERNAME": "ann",
        "WANDB_USER_EMAIL": "ann@example.org",
        "WANDB_HTTP_TIMEOUT": "45",
        "WANDB__EXTRA_HTTP_HEADERS": '{"X-Team": "ml"}',
        "WANDB_HTTPS_PROXY": "http://proxy:3128",
        "WANDB_INSECURE_DISABLE_SSL": "true",
        "WANDB_SILENT": "true",
    }
    process = subprocess.run(
        [sys.executable, "-c", _ASK_WANDB],
        cwd=cwd,
        env={**env, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    wandbs = json.loads(process.stdout.splitlines()[-1])
    ours = load_settings(env, cwd, home)
    assert wandbs == {
        "base_url": ours.base_url,
        "entity": ours.entity,
        "project": ours.project,
        "username": ours.username,
        "email": ours.email,
        "timeout": ours.http_timeout,
        "headers": ours.extra_headers,
        "https_proxy": ours.https_proxy,
        "insecure": ours.insecure_disable_ssl,
        "key": find_api_key(ours.base_url, ours, env, home),
    }
    assert wandbs["key"] == KEY
    assert wandbs["project"] == "workspace"
