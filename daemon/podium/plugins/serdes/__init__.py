"""The serdes plug-in: files of one format into another, by way of records (Ion). Entry point `serdes`. Source: plugins 4."""

from __future__ import annotations

from podium.plugin import Task, Trigger
from podium.plugins.serdes import csv, json, parquet

TASKS: list[type[Task]] = [csv.CsvToIon, csv.IonToCsv, json.JsonToIon, json.IonToJson, json.JsonToJsonl, parquet.ParquetToIon]
TRIGGERS: list[type[Trigger]] = []
CONDITIONS: list[type] = []
RUNNERS: list[type] = []
