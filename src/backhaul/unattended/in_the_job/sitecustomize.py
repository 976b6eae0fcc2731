"""Read by every Python of a job at its start: has wandb link media files instead of copying them, while a disk is full.

`WANDB_ALLOW_MEDIA_SYMLINK` says so for a whole run, at its start. This says so for each file, when it is logged: while
the file that `BACKHAUL_LINK_MEDIA` names is there. It is placed into a folder that the job has in front of its
`PYTHONPATH`, and hides the `sitecustomize` of the installation there; so that one is run first.

Any Python from 3.6 on may read this, with or without wandb. Whatever goes wrong here is passed over in silence: the job
then copies its files, as it would without us.
"""

import contextlib
import functools
import os
import sys
import weakref

_FLAG = os.environ.get("BACKHAUL_LINK_MEDIA")
# Where wandb (0.26 on; the second from 0.31 on) looks whether to link: in these functions. Both take the run as their
# second argument. Source: `base_types/media.py` and `eval_table/_media_ces.py` in `wandb/sdk/data_types`.
_PLACES = {
    "wandb.sdk.data_types.base_types.media": ("Media", "bind_to_run"),
    "wandb.sdk.data_types.eval_table._media_ces": (None, "_place_media_file_in_run"),
}
# Runs that link because of us; those that do because their script asked for it stay as they are.
_told = weakref.WeakSet()


class _Finder:
    """Finds nothing itself: has the functions of `_PLACES` changed when their modules are loaded."""

    def find_spec(self, name, path=None, target=None):
        if name in _PLACES:
            with contextlib.suppress(Exception):
                return self._spec(name, path, target)
        return None

    def _spec(self, name, path, target):
        found = (each.find_spec(name, path, target) for each in sys.meta_path if each is not self)
        spec = next((each for each in found if each is not None), None)
        if spec is None:
            return None
        load = spec.loader.exec_module

        def load_and_change(module):
            load(module)
            if module.__name__ == name:
                with contextlib.suppress(Exception):
                    _change(module)

        spec.loader.exec_module = load_and_change
        return spec


def _change(module):
    holder_name, name = _PLACES[module.__name__]
    holder = getattr(module, holder_name) if holder_name else module
    function = getattr(holder, name)

    @functools.wraps(function)
    def choosing(*args, **named):
        with contextlib.suppress(Exception):
            _choose(named["run"] if "run" in named else args[1])
        return function(*args, **named)

    setattr(holder, name, choosing)


def _choose(run):
    """Have the run link while the flag is there. A release without this setting raises, and copies."""
    links, is_full = run._settings.allow_media_symlink, os.path.exists(_FLAG)
    if is_full and not links:
        run._settings.allow_media_symlink = True
        _told.add(run)
    elif not is_full and run in _told:
        _told.discard(run)
        run._settings.allow_media_symlink = False


def _run_the_next():
    """Run the `sitecustomize` that there would be without us; what it raises is told by Python as ever."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [place for place in sys.path if os.path.abspath(place) != here]
    ours = sys.modules.pop(__name__)
    try:
        import sitecustomize  # noqa: F401 - found further down the path, now
    except ImportError as error:
        sys.modules[__name__] = ours
        if error.name != __name__:
            raise


try:
    _run_the_next()
finally:
    if _FLAG:
        sys.meta_path.insert(0, _Finder())
