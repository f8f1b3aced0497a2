"""Dates: reading, formats, patterns, arithmetic, zones and languages."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from podium.base.errors import ExpressionError

ISO = "2024-03-05T14:07:09.123456789Z"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy yy u y", "2024 24 2024 2024"), ("M MM MMM MMMM MMMMM", "3 03 Mar March M"), ("L LLL LLLL", "3 Mar March"), ("d dd D DDD", "5 05 65 065"),
        ("E EEEE EEEEE e ee ccc", "Tue Tuesday T 3 03 Tue"), ("H k K h a", "14 14 2 2 PM"), ("m ss S SSS SSSSSSSSS", "7 09 1 123 123456789"),
        ("A n N", "50829123 123456789 50829123456789"), ("Q QQ QQQ QQQQ q", "1 01 Q1 1st quarter 1"), ("Y w ww W F", "2024 10 10 2 1"),
        ("X XX XXX x xx xxx", "Z Z Z +00 +0000 +00:00"), ("Z ZZZZ ZZZZZ O OOOO", "+0000 GMT Z GMT GMT"), ("z zzzz VV", "UTC Coordinated Universal Time UTC"),
        ("G GGGG", "AD Anno Domini"), ("'T' '' 'o''clock'", "T ' o'clock"), ("[HH]pppm", "14  7"), ("B", "in the afternoon"),
    ],
)  # fmt: skip
def test_pattern_letters(render, pattern, expected):
    assert render("{{ v | date(p) }}", {"v": ISO, "p": pattern}) == expected


@pytest.mark.parametrize("pattern", ["b", "J", "{", "'open", "]", "MMMMMM", "yyyyyyyyyyyyyyyyyyyy", "VVV", "aa", "OO", "p", "x" * 20_000])
def test_bad_patterns_are_errors(render, pattern):
    with pytest.raises(ExpressionError):
        render("{{ v | date(p) }}", {"v": ISO, "p": pattern})


@pytest.mark.parametrize(
    ("name", "utc", "paris"),
    [
        ("iso", "2024-03-05T14:07:09.000000Z", "2024-03-05T15:07:09.000000+01:00"), ("iso_sec", "2024-03-05T14:07:09Z", "2024-03-05T15:07:09+01:00"),
        ("iso_milli", "2024-03-05T14:07:09.000Z", "2024-03-05T15:07:09.000+01:00"), ("sql", "2024-03-05 14:07:09.000000", "2024-03-05 15:07:09.000000"),
        ("sql_sec", "2024-03-05 14:07:09", "2024-03-05 15:07:09"),
        ("iso_date_time", "2024-03-05T14:07:09Z[UTC]", "2024-03-05T15:07:09+01:00[Europe/Paris]"),
        ("iso_zoned_date_time", "2024-03-05T14:07:09Z[UTC]", "2024-03-05T15:07:09+01:00[Europe/Paris]"), ("iso_date", "2024-03-05Z", "2024-03-05+01:00"),
        ("iso_time", "14:07:09Z", "15:07:09+01:00"), ("iso_offset_time", "14:07:09Z", "15:07:09+01:00"), ("iso_local_date", "2024-03-05", "2024-03-05"),
        ("iso_local_time", "14:07:09", "15:07:09"), ("iso_local_date_time", "2024-03-05T14:07:09", "2024-03-05T15:07:09"),
        ("iso_instant", "2024-03-05T14:07:09Z", "2024-03-05T14:07:09Z"), ("iso_ordinal_date", "2024-065Z", "2024-065+01:00"),
        ("iso_week_date", "2024-W10-2Z", "2024-W10-2+01:00"), ("rfc_1123_date_time", "Tue, 5 Mar 2024 14:07:09 GMT", "Tue, 5 Mar 2024 15:07:09 +0100"),
    ],
)  # fmt: skip
def test_named_formats(render, name, utc, paris):
    template = "{{ '2024-03-05T14:07:09Z' | date(f) }} {{ '2024-03-05T14:07:09Z' | date(f, timeZone='Europe/Paris') }}"
    assert render(template, {"f": name}) == f"{utc} {paris}"


@pytest.mark.parametrize("style", ["full", "long", "medium", "short"])
def test_styles_follow_the_language(render, style):
    assert "2024" in render("{{ v | date(s) }}", {"v": ISO, "s": style}) or style == "short"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-03-05T14:07:09+02:00", "2024-03-05 12:07:09"), ("2024-03-05T14:07:09+01:00[Europe/Paris]", "2024-03-05 13:07:09"),
        ("2024-03-05T14:07", "2024-03-05 14:07:00"), ("2024-03-05", "2024-03-05 00:00:00"), (date(2024, 3, 5), "2024-03-05 12:00:00"),
        (datetime.fromisoformat("2024-03-05T01:02"), "2024-03-05 01:02:00"), (datetime(2024, 3, 5, 1, 2, tzinfo=ZoneInfo("Asia/Tokyo")), "2024-03-04 16:02:00"),
        (1709647629, "2024-03-05 14:07:09"), (-1, "1969-12-31 23:59:59"),
    ],
)  # fmt: skip
def test_what_counts_as_a_date(render, value, expected):
    assert render("{{ v | date('sql_sec') }}", {"v": value}) == expected


@pytest.mark.parametrize("value", ["", "2024-13-01", "2024-02-30", "14:07", "2024-03-05 14:07:09", "2024-03-05T14:07:09+0200", 1.5, True, [1], 10**18])
def test_what_is_no_date(render, value):
    with pytest.raises(ExpressionError):
        render("{{ v | date('yyyy') }}", {"v": value})


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("05/03/2024", "dd/MM/yyyy", "2024-03-05 00:00:00"), ("20240305140709", "yyyyMMddHHmmss", "2024-03-05 14:07:09"),
        ("5/3/24 2:07 PM", "d/M/yy h:mm a", "2024-03-05 14:07:00"), ("05 March 2024", "dd MMMM yyyy", "2024-03-05 00:00:00"),
        ("Tue 5 Mar 2024", "EEE d MMM yyyy", "2024-03-05 00:00:00"), ("2024-03-05T14:07:09+0200", "yyyy-MM-dd'T'HH:mm:ssXX", "2024-03-05 12:07:09"),
        ("2024-03-05 10:00 Europe/Paris", "yyyy-MM-dd HH:mm VV", "2024-03-05 09:00:00"), ("2024-W10-2", "iso_week_date", "2024-03-05 00:00:00"),
        ("2024-065", "iso_ordinal_date", "2024-03-05 00:00:00"), ("Tue, 5 Mar 2024 14:07:09 GMT", "rfc_1123_date_time", "2024-03-05 14:07:09"),
        ("30/02/2024", "dd/MM/yyyy", "2024-02-29 00:00:00"), ("2024-03-05 14", "yyyy-MM-dd[ HH]", "2024-03-05 14:00:00"),
        ("2024-03-05 24:00", "yyyy-MM-dd HH:mm", "2024-03-06 00:00:00"), ("2024 065", "yyyy D", "2024-03-05 00:00:00"),
    ],
)  # fmt: skip
def test_texts_are_read_by_an_existing_format(render, text, pattern, expected):
    assert render("{{ v | date('sql_sec', existingFormat=p) }}", {"v": text, "p": pattern}) == expected


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("14:07", "HH:mm"), ("2024", "yyyy"), ("2024-03", "yyyy-MM"), ("32/01/2024", "dd/MM/yyyy"), ("Mon 5 Mar 2024", "EEE d MMM yyyy"),
     ("05 mars 2024", "dd MMMM yyyy"), ("2024-03-05", "full"), ("2024-03-05 25:00", "yyyy-MM-dd HH:mm"), ("2024-03-05 13:00 AM", "yyyy-MM-dd hh:mm a")],
)  # fmt: skip
def test_texts_that_do_not_follow_their_format_are_errors(render, text, pattern):
    with pytest.raises(ExpressionError):
        render("{{ v | date('yyyy', existingFormat=p) }}", {"v": text, "p": pattern})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("1, 'MONTHS'", "2024-02-29 00:00:00"), ("12, 'YEARS'", "2036-01-31 00:00:00"), ("-1, 'DECADES'", "2014-01-31 00:00:00"),
        ("1, 'WEEKS'", "2024-02-07 00:00:00"), ("'90', 'MINUTES'", "2024-01-31 01:30:00"), ("1.9, 'DAYS'", "2024-02-01 00:00:00"),
        ("-1, 'NANOS'", "2024-01-30 23:59:59"), ("1, 'HALF_DAYS'", "2024-01-31 12:00:00"), ("1, 'CENTURIES'", "2124-01-31 00:00:00"),
    ],
)  # fmt: skip
def test_date_add(render, arguments, expected):
    assert render(f"{{{{ '2024-01-31' | dateAdd({arguments}, format='sql_sec') }}}}") == expected


def test_days_keep_the_time_of_day_over_a_change_of_clocks(render):
    template = "{{ '2024-03-30T12:00:00' | dateAdd(1, 'DAYS', timeZone=z) }} {{ '2024-03-30T12:00:00' | dateAdd(24, 'HOURS', timeZone=z) }}"
    assert render(template, {"z": "Europe/Paris"}) == "2024-03-31T12:00:00.000000+02:00 2024-03-31T13:00:00.000000+02:00"


def test_a_time_that_a_change_of_clocks_skips_moves_forward(render):
    assert render("{{ '2024-03-31T02:30:00' | date(timeZone='Europe/Paris') }}") == "2024-03-31T03:30:00.000000+02:00"


@pytest.mark.parametrize("arguments", ["1, 'days'", "1, 'ERAS'", "1", "'x', 'DAYS'", "9223372036854775807, 'DAYS'", "100000, 'CENTURIES'"])
def test_date_add_refuses(render, arguments):
    with pytest.raises(ExpressionError):
        render(f"{{{{ '2024-01-31' | dateAdd({arguments}) }}}}")


def test_timestamps(render):
    template = "{{ v | timestamp }} {{ v | timestampMilli }} {{ v | timestampMicro }} {{ v | timestampNano }}"
    assert render(template, {"v": ISO}) == "1709647629 1709647629123 1709647629123456 1709647629123456789"
    assert render("{{ (v | timestamp) - 1 }} {{ null | timestamp }}|", {"v": "1969-12-31T23:59:59.5Z"}) == "-2 |"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("+05:30", "19:37 +05:30"), ("GMT+2", "16:07 GMT+02:00"), ("UTC", "14:07 UTC"), ("Z", "14:07 Z"), ("America/New_York", "09:07 America/New_York"), ("-3", "11:07 -03:00")],
)  # fmt: skip
def test_zones(render, zone, expected):
    assert render("{{ v | date('HH:mm VV', timeZone=z) }}", {"v": ISO, "z": zone}) == expected


@pytest.mark.parametrize("zone", ["Nope", "+19:00", "../../etc/passwd", "Europe", "", "+5:7"])
def test_bad_zones_are_errors(render, zone):
    with pytest.raises(ExpressionError):
        render("{{ v | date('yyyy', timeZone=z) }}", {"v": ISO, "z": zone})


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("fr", "mardi 5 mars"), ("de_DE", "Dienstag 5 März"), ("es-ES", "martes 5 marzo"), ("xx", "Tue 5 M03"), ("en_GB", "Tuesday 5 March")],
)
def test_languages(render, locale, expected):
    assert render("{{ v | date('EEEE d MMMM', locale=l) }}", {"v": ISO, "l": locale}) == expected


def test_weeks_begin_where_the_language_says(render):
    assert render("{{ '2024-12-29' | date('e w YYYY') }} {{ '2024-12-29' | date('e w YYYY', locale='de_DE') }}") == "1 1 2025 7 52 2024"


def test_the_zone_of_the_world_is_the_default(render, world):
    world.zone = ZoneInfo("Asia/Tokyo")
    assert render("{{ '2024-03-05T14:07:09' | date('iso_sec') }} {{ [d] }}", {"d": datetime(2024, 3, 5, 1, tzinfo=ZoneInfo("Europe/Paris"))}) == (
        '2024-03-05T14:07:09+09:00 ["2024-03-05T09:00:00+09:00"]'
    )
