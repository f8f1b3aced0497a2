"""What the properties of the conversions mean, and one example of each type. Read by app/plugins when a schema or documentation is made.

Keys of WORDS: a property, `Class.property`, or type and property; see podium.flows.models.words.
"""

from __future__ import annotations

WORDS: dict[str, str] = {
    "from": "URI of the stored file to convert.",
    "charset": "Encoding of the text file.",
    "header": "The first line holds the names of the columns.",
    "fieldSeparator": "Character between fields.",
    "textDelimiter": "Quotation mark.",
    "skipEmptyRows": "Pass over empty lines.",
    "skipRows": "So many rows after the header are left out.",
    "onBadLines": "What becomes of a line with another number of fields: fail, leave it out with a warning, or silently.",
    "onEmptyHeader": "What becomes of a column without a name: it is left out, or called column_1, column_2 …",
    "errorOnDifferentFieldCount": "Use onBadLines.",
    "maxBufferSize": "Accepted without effect.",
    "maxFieldSize": "Longest field, in characters.",
    "allowExtraCharsAfterClosingQuote": "Text after a closing quotation mark belongs to the field; otherwise it is an error.",
    "lineDelimiter": "What ends a line.",
    "alwaysDelimitText": "Every field in quotation marks.",
    "quoteMode": "Which fields are in quotation marks: all, those that need them, or all but numbers.",
    "dateFormat": "Pattern of dates.",
    "timeFormat": "Pattern of times of day.",
    "dateTimeFormat": "Pattern of moments.",
    "timeZoneId": "Time zone in which moments are written; otherwise the instance's.",
    "newLine": "One value a line. false: the file is one list.",
    "shouldKeepAnnotations": "Accepted without effect: annotations of Ion become values.",
}

_TYPES = ("csv.CsvToIon", "csv.IonToCsv", "json.JsonToIon", "json.IonToJson", "json.JsonToJsonl", "parquet.ParquetToIon")
EXAMPLES: dict[str, str] = {
    f"io.kestra.plugin.serdes.{name}": f"{{id: convert, type: serdes.{name}, from: '{{{{ outputs.download.uri }}}}'}}" for name in _TYPES
}
"""Type → YAML."""
