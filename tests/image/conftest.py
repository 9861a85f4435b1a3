"""The image, built once for all tests of this folder."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.image.buildah import Buildah, NoBaseError
from tests.image.container import Image
from tests.support.namespaces import Mesh, Pod, missing

_open = ExitStack()


@functools.cache
def _base() -> tuple[Buildah, str] | str:
    """A store and the base in it; or why there is none."""
    if reason := missing("buildah", "unshare", "chroot"):
        return f"no image can be built and run here: {reason}"
    buildah = _open.enter_context(Buildah())
    try:
        return buildah, buildah.base()
    except NoBaseError as error:
        return f"the image has no base: {error}"


def pytest_runtest_setup() -> None:
    # Skipped here and not in a fixture, all tests share one line of the summary.
    if isinstance(reason := _base(), str):
        pytest.skip(reason)


def pytest_sessionfinish() -> None:
    _open.close()


@pytest.fixture(scope="session")
def image() -> Image:
    found = _base()
    assert not isinstance(found, str)
    buildah, base = found
    name = buildah.build(base)
    return Image(buildah.mount(name), buildah.mount(base), buildah.config(name))


@pytest.fixture
def pod(image: Image) -> Iterator[Pod]:
    """A network for what needs none, so that no test touches this machine's own."""
    with Mesh("pod") as mesh:
        yield mesh["pod"]
