"""Every page of the route table, with an address in the demo world (web_demo) and words that it must show. A page that is not here fails the tour."""

from __future__ import annotations

from collections.abc import Mapping

from podium.web.pages import routes as site

NOT_A_PAGE = (
    "/assets/{name:.+}", "/ui{rest:(/.*)?}", "/palette", "/executions/ids", "/logs/download", "/executions/{execution}/{verb}", "/flows/{namespace}/{flow}/run",
    "/flows/{namespace}/{flow}/edit", "/flows/{namespace}/{flow}/export", "/executions/{execution}/lines", "/executions/{execution}/lines/found", "/executions/{execution}/lines/index",
    "/executions/{execution}/picture", "/executions/{execution}/live", "/executions/{execution}/replay", "/dashboards/{dashboard}/charts/{chart}",
)
"""What is read with GET and shows nothing of its own: files, JSON, parts, redirects."""
ELSEWHERE = {
    "/editor/{source}": "tests/integration/test_web_editing.py", "/webhooks/deliveries/{id}": "tests/integration/test_web_webhooks.py",
    "/results": "tests/integration/test_web_results.py", "/results/browse": "tests/integration/test_web_results.py",
}
"""Pages that need more than the demo world has → the file that tests them in a world of their own."""


def tour(ids: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Pattern of the route → (address, words)."""
    flow = "/flows/company.analytics/daily-sales"
    return {
        "/": [("/", "Failed lately"), ("/?range=7d", "daily-sales")],
        "/search": [("/search?q=hello", "company.team"), ("/search", "What are you looking for?")],
        "/flows": [("/flows", "daily-sales"), ("/flows?q=zzzz", "No flow matches")],
        "/flows/{namespace}/{flow}": [
            (flow, "daily-sales"), (f"{flow}?tab=source", "namespace:"), (f"{flow}?tab=revisions", "daily-sales"), (f"{flow}?tab=triggers", "every_morning"),
            ("/flows/company.team/everything?tab=run", "Your name"),
        ],
        "/executions": [("/executions", "Failed"), ("/executions?state=FAILED&range=24h", "daily-sales")],
        "/executions/{execution}": [
            (f"/executions/{ids['failed']}", "daily-sales"), (f"/executions/{ids['success']}?tab=metrics", "rows"),
            (f"/executions/{ids['success']}?tab=record", "schema"), (f"/executions/{ids['paused']}", "Ship it?"),
        ],
        "/logs": [("/logs", "duplicate key value"), ("/logs?q=zzzz", "No line matches")],
        "/triggers": [("/triggers", "on_order")],
        "/syncs": [("/syncs", "team/broken.yaml")],
        "/syncs/{source}/{commit}": [(f"/syncs/main/{'02c0ffee' * 5}", "daily-sales")],
        "/editor": [("/editor", "")],
        "/editor/new": [("/editor/new", "")],
        "/namespaces": [("/namespaces", "analytics"), ("/namespaces?q=zzzz", "No namespace has that")],
        "/namespaces/{namespace}": [
            ("/namespaces/company.team", "Where it lives"), ("/namespaces/company.team?tab=flows", "release"), ("/namespaces/company.team?tab=files", "No files"),
            ("/namespaces/company.team?tab=kv", "cursor"), ("/namespaces/company.team?tab=secrets", "No secrets"),
            ("/namespaces/company?tab=variables", "nothing"),
        ],
        "/plugins": [("/plugins", "core")],
        "/plugins/{type}": [("/plugins/io.kestra.plugin.core.log.Log", "Log")],
        "/dashboards": [("/dashboards", "")],
        "/dashboards/{dashboard}": [("/dashboards/podium", "")],
        "/webhooks": [("/webhooks", "Deliveries"), ("/webhooks?tab=addresses", "on_order")],
        "/webhooks/{namespace}/{flow}/{trigger}": [("/webhooks/company.analytics/daily-sales/on_order", "on_order")],
        "/settings": [("/settings", "")],
        "/system": [("/system", "")],
        "/account": [("/account", "")],
        "/people": [("/people", "")],
        "/login": [("/login", "")],
    }


def stops(ids: Mapping[str, str]) -> list[tuple[str, str]]:
    """All addresses, with the words."""
    return [each for some in tour(ids).values() for each in some]


def patterns() -> set[str]:
    """The patterns of all pages that are read."""
    return {route.path for route in site.ROUTES if route.method == "GET"} - set(NOT_A_PAGE) - set(ELSEWHERE)
