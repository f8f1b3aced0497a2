"""The small drawings of the pages: lines on 24 by 24 in the colour of the text, without a meaning of their own for those who listen.

Called by the macro ui.icon. What always holds: a name that is not there is a mistake of ours, KeyError.
"""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

_FRAME = (
    '<svg class="i" viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.7" '
    'stroke-linecap="round" stroke-linejoin="round">{}</svg>'
)
_LINES: Mapping[str, str] = {
    "home": '<path d="M3.5 11 12 4l8.5 7"/><path d="M5.5 9.5v10h13v-10"/>',
    "play": '<circle cx="12" cy="12" r="8.5"/><path d="m10.2 8.6 5.3 3.4-5.3 3.4z"/>',
    "flow": (
        '<rect x="3.5" y="4" width="7" height="5" rx="1.2"/><rect x="13.5" y="15" width="7" height="5" rx="1.2"/>'
        '<path d="M7 9v5.5a3 3 0 0 0 3 3h3.5"/>'
    ),
    "log": '<path d="M4.5 6h15M4.5 10h10M4.5 14h13M4.5 18h8"/>',
    "chart": '<path d="M4 4.5v15h16"/><path d="M8 16v-4.5M12.5 16V8M17 16v-6.5"/>',
    "bolt": '<path d="M13 3.5 5.5 13.5H12L11 20.5l7.5-10H12z"/>',
    "bell": '<path d="M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 2H5z"/><path d="M10.3 20.5a2 2 0 0 0 3.4 0"/>',
    "hook": '<path d="M12 3.5v9.5"/><circle cx="12" cy="5" r="1.6"/><path d="M12 13a4 4 0 1 0 4 4M16 17l2.2-2.4M16 17l-2.6-2"/>',
    "folder": '<path d="M3.5 6.5h6l2 2.5h9v9.5h-17z"/>',
    "puzzle": '<path d="M4.5 8.5h4a2.2 2.2 0 1 1 4.2 0h3.8v4a2.2 2.2 0 1 1 0 4.2v3.3h-12z"/>',
    "archive": '<rect x="3.5" y="4.5" width="17" height="4.5" rx="1"/><path d="M5 9v10.5h14V9M10 13h4"/>',
    "branch": (
        '<circle cx="7" cy="5.5" r="2"/><circle cx="7" cy="18.5" r="2"/><circle cx="17" cy="8.5" r="2"/>'
        '<path d="M7 7.5v9M17 10.5c0 4-5 3-9 5.5"/>'
    ),
    "sync": '<path d="M4.5 11A7.6 7.6 0 0 1 18 7.2l1.5 1.6M19.5 13A7.6 7.6 0 0 1 6 16.8l-1.5-1.6"/><path d="M19.5 4.5v4.3h-4.3M4.5 19.5v-4.3h4.3"/>',
    "gear": (
        '<circle cx="12" cy="12" r="3"/>'
        '<path d="M12 3.5v2.7M12 17.8v2.7M3.5 12h2.7M17.8 12h2.7M6 6l1.9 1.9M16.1 16.1 18 18M18 6l-1.9 1.9M7.9 16.1 6 18"/>'
    ),
    "server": (
        '<rect x="3.5" y="4.5" width="17" height="6" rx="1.4"/><rect x="3.5" y="13.5" width="17" height="6" rx="1.4"/>'
        '<path d="M7 7.5h.1M7 16.5h.1M11 7.5h6M11 16.5h6"/>'
    ),
    "search": '<circle cx="11" cy="11" r="6"/><path d="m15.5 15.5 4.5 4.5"/>',
    "moon": '<path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z"/>',
    "user": '<circle cx="12" cy="8.5" r="4"/><path d="M4.5 20a7.5 7.5 0 0 1 15 0"/>',
    "key": '<circle cx="8" cy="15.5" r="4"/><path d="m11 12.5 8.5-8.5M16 7.5l3 3"/>',
    "exit": '<path d="M14 4.5H6v15h8"/><path d="M10.5 12H20m-3.5-3.5L20 12l-3.5 3.5"/>',
    "help": '<circle cx="12" cy="12" r="8.5"/><path d="M9.5 9.5a2.6 2.6 0 1 1 3.6 2.4c-.8.3-1.1.9-1.1 1.8M12 16.6v.1"/>',
    "menu": '<path d="M4 6.5h16M4 12h16M4 17.5h16"/>',
    "close": '<path d="m6 6 12 12M18 6 6 18"/>',
    "fold": '<rect x="3.5" y="4.5" width="17" height="15" rx="2"/><path d="M9 4.5v15M16 9.5 13.5 12l2.5 2.5"/>',
    "alert": '<path d="M12 4 2.8 19.5h18.4z"/><path d="M12 10v4.5m0 2.3v.2"/>',
    "info": '<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5M12 7.8v.1"/>',
    "check": '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
    "copy": '<rect x="8.5" y="8.5" width="11" height="11" rx="2"/><path d="M15.5 8.5v-2a2 2 0 0 0-2-2h-7a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h2"/>',
    "down": '<path d="M12 4.5v10m-4-4 4 4 4-4M5 19.5h14"/>',
    "up": '<path d="M12 14.5v-10m-4 4 4-4 4 4M5 19.5h14"/>',
    "more": '<path d="M5 12h.1M12 12h.1M19 12h.1"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "edit": '<path d="m14.5 5.5 4 4L8 20H4v-4z"/>',
    "trash": '<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 12.5h9l1-12.5"/>',
    "restart": '<path d="M19 13a7.2 7.2 0 1 1-2-6"/><path d="M18.5 3.5v4.3h-4.3"/>',
    "pause": '<path d="M9 5.5v13M15 5.5v13"/>',
    "stop": '<rect x="6" y="6" width="12" height="12" rx="1.5"/>',
    "filter": '<path d="M3.5 5.5h17L14 13v5.5l-4-2V13z"/>',
    "columns": '<rect x="3.5" y="4.5" width="17" height="15" rx="1.5"/><path d="M9.2 4.5v15M14.8 4.5v15"/>',
    "clock": '<circle cx="12" cy="12" r="8.5"/><path d="M12 7v5l3.2 2"/>',
    "calendar": '<rect x="4" y="5.5" width="16" height="14.5" rx="2"/><path d="M4 10h16M8.5 3.5v4M15.5 3.5v4"/>',
    "link": '<path d="M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1"/>',
    "external": '<path d="M13.5 4.5h6v6M19 5l-8.5 8.5M16.5 13.5v6h-12v-12h6"/>',
    "chevron": '<path d="m9 5.5 6.5 6.5L9 18.5"/>',
    "caret": '<path d="m6 9.5 6 6 6-6"/>',
    "star": '<path d="m12 4 2.5 5.2 5.7.8-4.1 4 1 5.6L12 16.9l-5.1 2.7 1-5.6-4.1-4 5.7-.8z"/>',
    "spark": '<path d="M12 4c.6 4.6 2.8 6.9 7.5 7.5-4.7.7-6.9 3-7.5 7.5-.6-4.5-2.8-6.8-7.5-7.5C9.2 10.9 11.4 8.6 12 4z"/>',
    "tag": '<path d="M4 4.500h7.500l8.5 8.5-7 7L4.5 11.500z"/><path d="M8.2 8.700h.1"/>',
    "file": '<path d="M6 3.500h8l4.5 4.500v12.500H6z"/><path d="M14 3.500V8h4.5"/>',
    "eye": '<path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z"/><circle cx="12" cy="12" r="2.8"/>',
}
SHAPES: Mapping[str, Markup] = {name: Markup(_FRAME.format(lines)) for name, lines in _LINES.items()}  # noqa: S704 - all of it stands above


def icon(name: str) -> Markup:
    """The drawing of that name."""
    return SHAPES[name]
