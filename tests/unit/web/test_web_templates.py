"""The templates of the pages: all of them compile. A daemon compiles each when somebody first looks at it."""

from __future__ import annotations

import pytest

from podium.web.pages.render import environment


@pytest.mark.parametrize("name", environment().list_templates())
def test_a_template_compiles(name: str) -> None:
    assert environment().get_template(name).name == name
