"""Contents of artifacts, found by their digest wherever they lie now."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

import pytest
import xxhash

from backhaul.errors import PayloadMissing
from backhaul.runs.artifacts import Entry
from backhaul.runs.content_places import ContentPlaces, content_places
from backhaul.runs.roots import roots_of

_CONTENT = b"the content"
_MD5 = b64encode(hashlib.md5(_CONTENT, usedforsecurity=False).digest()).decode()
_XXH128 = b64encode(xxhash.xxh128(_CONTENT).digest()).decode()


def _places(home: Path, *roots: str) -> ContentPlaces:
    return content_places({}, home / "home", home / "project" / "wandb" / "run" / "files", roots_of(roots))


def _entry(digest: str = _MD5, local_path: str = "/gone/project/data/a.bin", **extra: str) -> Entry:
    return Entry("a.bin", digest, len(_CONTENT), local_path=local_path, extra=extra)


def _put(path: Path, content: bytes = _CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "where",
    [
        "home/.local/share/wandb/artifacts/staging/a.bin",
        f"home/.cache/wandb/artifacts/obj/md5/{hashlib.md5(_CONTENT).hexdigest()[:2]}/{hashlib.md5(_CONTENT).hexdigest()[2:]}",
        "project/wandb/run/files/media/table/of-another-name",
        "project/data/a.bin",
        "data/a.bin",
        "named/data/a.bin",
    ],
)
@pytest.mark.parametrize(
    ("old", "recorded"),
    [("/gone/project", "/gone/project/data/a.bin"), (r"C:\gone\project", r"C:\gone\project\data\a.bin")],
)
def test_a_content_is_found_where_it_lies_now(tmp_path: Path, where: str, old: str, recorded: str) -> None:
    """In the staging folder, the cache, the run's own files, a moved tree, and under a root that the user names.

    The log may be one from Windows.
    """
    path = _put(tmp_path / where)
    found = _places(tmp_path, f"{old}={tmp_path / 'named'}").content(_entry(local_path=recorded))
    assert (found.payload.path, found.digest.md5) == (path, _MD5)


@pytest.mark.parametrize("where", ["home/.cache/wandb/artifacts/obj/xxh128/{0}/{1}", "project/data/a.bin"])
def test_a_content_that_is_known_by_xxh128_is_found_by_that_and_gets_its_md5(tmp_path: Path, where: str) -> None:
    """Not only at the place where it was recorded."""
    name = xxhash.xxh128(_CONTENT).hexdigest()
    path = _put(tmp_path / where.format(name[:2], name[2:]))
    found = _places(tmp_path).content(_entry(_XXH128, alg="XXH128"))
    assert (found.payload.path, found.digest.md5) == (path, _MD5)


@pytest.mark.parametrize(("digest", "extra"), [(_MD5, {}), (_XXH128, {"alg": "XXH128"})])
def test_another_content_of_the_same_size_is_not_taken_for_it(
    tmp_path: Path, digest: str, extra: dict[str, str]
) -> None:
    """It is told where such a one lies, and where the right one was."""
    path = _put(tmp_path / "project" / "data" / "a.bin", b"other words")
    with pytest.raises(PayloadMissing) as raised:
        _places(tmp_path).content(_entry(digest, **extra))
    assert f"{path} has other content" in raised.value.message
    assert "/gone/project/data/a.bin" in raised.value.message
    assert "--root" in raised.value.next
