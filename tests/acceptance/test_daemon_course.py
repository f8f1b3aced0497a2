"""The flows of a data-engineering course, as people bring them from Kestra: downloaded files, containers, PostgreSQL, DuckDB, a backfill.

Everything is real: a daemon over a repository, a web server with the files, a PostgreSQL server, containers. Nothing in the flows is ours.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from postgres_house import PASSWORD, USER, Postgres

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import DaemonHouse, daemon_house, wait_for

HEADER = "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,store_and_fwd_flag,total_amount\n"
RIDES = {
    "yellow_tripdata_2019-01": "1,2019-01-01 00:46:40,2019-01-01 00:53:20,1,1.50,N,9.95\n2,2019-01-01 00:59:47,2019-01-01 01:18:59,,2.60,N,16.3\n",
    "green_tripdata_2019-01": "2,2019-01-02 10:00:00,2019-01-02 10:10:00,5,.86,N,8.30\n",
    "green_tripdata_2019-02": "1,2019-02-03 11:00:00,2019-02-03 11:30:00,1,3.10,Y,12.00\n1,2019-02-04 08:00:00,2019-02-04 08:05:00,2,.50,N,4.5\n",
    "green_tripdata_2019-03": "2,2019-03-05 12:00:00,2019-03-05 12:30:00,1,7.77,N,30\n",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with the course's files; its address."""
    root = tmp_path_factory.mktemp("files")
    for name, rows in RIDES.items():
        folder = root / name.partition("_")[0]
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress((HEADER + rows).encode()))
    (root / "products.json").write_text(json.dumps({"products": [
        {"id": 1, "title": "Mascara", "brand": "Essence", "price": 9.99}, {"id": 2, "title": "Palette", "brand": "Glamour", "price": 19.99},
        {"id": 3, "title": "Powder", "brand": "Essence", "price": 14.99},
    ]}))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


PIPELINE = """\
id: data_pipeline
namespace: course

inputs:
  - id: columns_to_keep
    type: ARRAY
    itemType: STRING
    defaults:
      - brand
      - price

tasks:
  - id: extract
    type: io.kestra.plugin.core.http.Download
    uri: FILES/products.json

  - id: transform
    type: io.kestra.plugin.scripts.python.Script
    containerImage: python:3.11-alpine
    inputFiles:
      data.json: "{{outputs.extract.uri}}"
    outputFiles:
      - "*.json"
    env:
      COLUMNS_TO_KEEP: "{{inputs.columns_to_keep}}"
    script: |
      import json
      import os

      keep = json.loads(os.getenv("COLUMNS_TO_KEEP"))
      with open("data.json") as file:
          data = json.load(file)
      with open("products.json", "w") as file:
          json.dump([{column: row.get(column, "N/A") for column in keep} for row in data["products"]], file, indent=4)

  - id: query
    type: io.kestra.plugin.jdbc.duckdb.Queries
    inputFiles:
      products.json: "{{outputs.transform.outputFiles['products.json']}}"
    sql: |
      INSTALL json;
      LOAD json;
      SELECT brand, round(avg(price), 2) as avg_price
      FROM read_json_auto('{{workingDir}}/products.json')
      GROUP BY brand
      ORDER BY avg_price DESC;
    fetchType: STORE
"""

BRANCH = """
      - id: COLOUR_create_table
        type: io.kestra.plugin.jdbc.postgresql.Queries
        sql: |
          CREATE TABLE IF NOT EXISTS {{render(vars.table)}} (
              unique_row_id          text,
              filename               text,
              VendorID               text,
              tpep_pickup_datetime   timestamp,
              tpep_dropoff_datetime  timestamp,
              passenger_count        integer,
              trip_distance          double precision,
              store_and_fwd_flag     text,
              total_amount           double precision
          );

      - id: COLOUR_create_staging_table
        type: io.kestra.plugin.jdbc.postgresql.Queries
        sql: |
          CREATE TABLE IF NOT EXISTS {{render(vars.staging_table)}} (LIKE {{render(vars.table)}});

      - id: COLOUR_truncate_staging_table
        type: io.kestra.plugin.jdbc.postgresql.Queries
        sql: |
          TRUNCATE TABLE {{render(vars.staging_table)}};

      - id: COLOUR_copy_in_to_staging_table
        type: io.kestra.plugin.jdbc.postgresql.CopyIn
        format: CSV
        from: "{{render(vars.data)}}"
        table: "{{render(vars.staging_table)}}"
        header: true
        columns: [VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,store_and_fwd_flag,total_amount]

      - id: COLOUR_add_unique_id_and_filename
        type: io.kestra.plugin.jdbc.postgresql.Queries
        sql: |
          UPDATE {{render(vars.staging_table)}}
          SET
            unique_row_id = md5(
              COALESCE(CAST(VendorID AS text), '') ||
              COALESCE(CAST(tpep_pickup_datetime AS text), '') ||
              COALESCE(CAST(trip_distance AS text), '')
            ),
            filename = '{{render(vars.file)}}';

      - id: COLOUR_merge_data
        type: io.kestra.plugin.jdbc.postgresql.Queries
        sql: |
          MERGE INTO {{render(vars.table)}} AS T
          USING {{render(vars.staging_table)}} AS S
          ON T.unique_row_id = S.unique_row_id
          WHEN NOT MATCHED THEN
            INSERT (
              unique_row_id, filename, VendorID, tpep_pickup_datetime, tpep_dropoff_datetime,
              passenger_count, trip_distance, store_and_fwd_flag, total_amount
            )
            VALUES (
              S.unique_row_id, S.filename, S.VendorID, S.tpep_pickup_datetime, S.tpep_dropoff_datetime,
              S.passenger_count, S.trip_distance, S.store_and_fwd_flag, S.total_amount
            );
"""

EXTRACT = """
  - id: set_label
    type: io.kestra.plugin.core.execution.Labels
    labels:
      file: "{{render(vars.file)}}"
      taxi: "{{inputs.taxi}}"

  - id: extract
    type: io.kestra.plugin.scripts.shell.Commands
    outputFiles:
      - "*.csv"
    taskRunner:
      type: io.kestra.plugin.core.runner.Process
    commands:
      - wget -qO- FILES/{{inputs.taxi}}/{{render(vars.file)}}.gz | gunzip > {{render(vars.file)}}

  - id: if_yellow_taxi
    type: io.kestra.plugin.core.flow.If
    condition: "{{inputs.taxi == 'yellow'}}"
    then:YELLOW
  - id: if_green_taxi
    type: io.kestra.plugin.core.flow.If
    condition: "{{inputs.taxi == 'green'}}"
    then:GREEN
  - id: purge_files
    type: io.kestra.plugin.core.storage.PurgeCurrentExecutionFiles
    description: This will remove output files.

pluginDefaults:
  - type: io.kestra.plugin.jdbc.postgresql
    values:
      url: URL
      username: USER
      password: PASSWORD
"""

ONCE = """\
id: postgres_taxi
namespace: course
description: |
  The CSV files of the course.

inputs:
  - id: taxi
    type: SELECT
    displayName: Select taxi type
    values: [yellow, green]
    defaults: yellow

  - id: year
    type: SELECT
    displayName: Select year
    values: ["2019", "2020"]
    defaults: "2019"

  - id: month
    type: SELECT
    displayName: Select month
    values: ["01", "02", "03"]
    defaults: "01"

variables:
  file: "{{inputs.taxi}}_tripdata_{{inputs.year}}-{{inputs.month}}.csv"
  staging_table: "public.{{inputs.taxi}}_tripdata_staging"
  table: "public.{{inputs.taxi}}_tripdata"
  data: "{{outputs.extract.outputFiles[inputs.taxi ~ '_tripdata_' ~ inputs.year ~ '-' ~ inputs.month ~ '.csv']}}"

tasks:
"""

SCHEDULED = """\
id: postgres_taxi_scheduled
namespace: course

concurrency:
  limit: 1

inputs:
  - id: taxi
    type: SELECT
    displayName: Select taxi type
    values: [yellow, green]
    defaults: yellow

variables:
  file: "{{inputs.taxi}}_tripdata_{{trigger.date | date('yyyy-MM')}}.csv"
  staging_table: "public.{{inputs.taxi}}_tripdata_staging"
  table: "public.{{inputs.taxi}}_tripdata"
  data: "{{outputs.extract.outputFiles[inputs.taxi ~ '_tripdata_' ~ (trigger.date | date('yyyy-MM')) ~ '.csv']}}"

triggers:
  - id: green_schedule
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 9 1 * *"
    inputs:
      taxi: green

  - id: yellow_schedule
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 10 1 * *"
    inputs:
      taxi: yellow

tasks:
"""

ANALYSIS = """\
id: analysis
namespace: course

tasks:
  - id: export
    type: io.kestra.plugin.jdbc.postgresql.CopyOut
    sql: SELECT filename, total_amount FROM public.yellow_tripdata ORDER BY 1, 2
    format: CSV
    header: true

  - id: rows
    type: io.kestra.plugin.jdbc.postgresql.Query
    sql: SELECT vendorid, total_amount FROM public.yellow_tripdata ORDER BY total_amount
    fetchType: STORE

  - id: load
    type: io.kestra.plugin.jdbc.postgresql.Queries
    sql: |
      CREATE TABLE IF NOT EXISTS totals (vendor text PRIMARY KEY, amount numeric);
      INSERT INTO totals VALUES ('1', 1) ON CONFLICT (vendor) DO UPDATE SET amount = EXCLUDED.amount;

  - id: batch
    type: io.kestra.plugin.jdbc.postgresql.Batch
    from: "{{ outputs.rows.uri }}"
    sql: INSERT INTO totals (vendor, amount) VALUES (?, ?) ON CONFLICT (vendor) DO UPDATE SET amount = totals.amount + EXCLUDED.amount

  - id: duckdb
    type: io.kestra.plugin.jdbc.duckdb.Query
    inputFiles:
      rides.csv: "{{ outputs.export.uri }}"
    sql: SELECT filename, sum(total_amount) AS total, count(*) AS rides FROM read_csv_auto('{{ workingDir }}/rides.csv', header = true) GROUP BY ALL
    fetchType: FETCH_ONE

  - id: say
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.duckdb.row.rides }} rides of {{ outputs.duckdb.row.filename }} for {{ outputs.duckdb.row.total }}"

pluginDefaults:
  - type: io.kestra.plugin.jdbc.postgresql
    values:
      url: URL
      username: USER
      password: PASSWORD
"""


WATCH = """\
id: watch
namespace: course

triggers:
  - id: rides
    type: io.kestra.plugin.jdbc.postgresql.Trigger
    interval: PT1S
    sql: SELECT count(*) AS rides FROM public.yellow_tripdata HAVING count(*) > 0
    fetchType: FETCH_ONE
    stopAfter: [SUCCESS]

tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: "{{ trigger.row.rides }} rides"

pluginDefaults:
  - type: io.kestra.plugin.jdbc.postgresql
    values:
      url: URL
      username: USER
      password: PASSWORD
"""


def written(text: str, files: str, url: str = "") -> str:
    """A flow with the places of this test in it."""
    extract = EXTRACT.replace("YELLOW", BRANCH.replace("COLOUR", "yellow"), 1).replace("GREEN", BRANCH.replace("COLOUR", "green"), 1)
    whole = text + extract if text.endswith("tasks:\n") else text
    return whole.replace("FILES", files).replace("url: URL", f"url: {url}").replace("USER", USER).replace("PASSWORD", PASSWORD)


def docker(images: Mapping[str, str]) -> str:
    return f'[runner]\ntype = "docker"\n[runner.images]\n"python*" = "{images["python"]}"\n'


def ended_well(house: DaemonHouse, execution_id: str) -> dict[str, Any]:
    ended = house.ended(execution_id, 120)
    assert ended["state"]["current"] == "SUCCESS", house.messages(execution_id)
    return ended


def outputs_of(execution: Mapping[str, Any], task: str) -> dict[str, Any]:
    return next(dict(run["outputs"]) for run in execution["taskRunList"] if run["taskId"] == task)


@pytest.mark.docker
@pytest.mark.slow
def test_download_python_in_a_container_and_duckdb(tmp_path: Path, free_port: int, images: Mapping[str, str], files: str) -> None:
    with daemon_house(tmp_path, free_port, docker(images)) as house:
        house.push({"pipeline.yaml": written(PIPELINE, files)})
        house.deployed("course", "data_pipeline")
        ended = ended_well(house, house.execute("course", "data_pipeline"))
        (result,) = outputs_of(ended, "query")["outputs"]
        assert result["size"] == 2
        stored = house.call("GET", f"/api/v1/executions/{ended['id']}/file?path={result['uri']}")
        rows = [json.loads(line) for line in stored.splitlines()] if isinstance(stored, str) else [stored]
        assert rows == [{"brand": "Glamour", "avg_price": 19.99}, {"brand": "Essence", "avg_price": 12.49}]


def test_taxi_files_go_into_postgresql_once_and_are_analysed(tmp_path: Path, free_port: int, files: str, postgres: Postgres) -> None:
    database = postgres.database()
    with daemon_house(tmp_path, free_port, '[runner]\ntype = "process"\n') as house, postgres.connect(database) as connection:
        house.push({name: written(text, files, postgres.url(database)) for name, text in {"taxi.yaml": ONCE, "analysis.yaml": ANALYSIS, "watch.yaml": WATCH}.items()})
        house.deployed("course", "postgres_taxi")
        for _ in range(2):  # the second time merges nothing
            ended = ended_well(house, house.execute("course", "postgres_taxi"))
        assert {"key": "file", "value": "yellow_tripdata_2019-01.csv"} in ended["labels"]
        states = {run["taskId"]: run["state"]["current"] for run in ended["taskRunList"]}
        assert states["yellow_merge_data"] == "SUCCESS"
        assert "green_merge_data" not in states
        assert outputs_of(ended, "purge_files")["uris"] != []
        assert outputs_of(ended, "yellow_copy_in_to_staging_table") == {"rowCount": 2}
        assert connection.execute(
            "select vendorid, passenger_count, trip_distance, total_amount, filename from yellow_tripdata order by 1"
        ).fetchall() == [
            ("1", 1, 1.5, 9.95, "yellow_tripdata_2019-01.csv"), ("2", None, 2.6, 16.3, "yellow_tripdata_2019-01.csv"),
        ]
        analysed = ended_well(house, house.execute("course", "analysis"))
        assert "2 rides of yellow_tripdata_2019-01.csv for 26.25" in house.messages(analysed["id"])
        assert outputs_of(analysed, "batch") == {"rowCount": 2, "updatedCount": 2}
        assert [(vendor, float(amount)) for vendor, amount in connection.execute("select * from totals order by 1")] == [("1", 10.95), ("2", 16.3)]
        (watched,) = wait_for(lambda: house.call("GET", "/api/v1/executions/search?namespace=course&flowId=watch")["results"], "the trigger to fire")
        ended_well(house, watched["id"])
        assert house.messages(watched["id"]) == ["2 rides"]
        assert PASSWORD not in house.log.read_text("utf-8", "replace")
        wait_for(lambda: analysed["id"] in house.records(), "the record")


def test_a_backfill_fills_the_months_one_after_the_other(tmp_path: Path, free_port: int, files: str, postgres: Postgres) -> None:
    database = postgres.database()
    with daemon_house(tmp_path, free_port, '[runner]\ntype = "process"\n') as house, postgres.connect(database) as connection:
        house.push({"taxi.yaml": written(SCHEDULED, files, postgres.url(database))})
        house.deployed("course", "postgres_taxi_scheduled")
        house.podium(
            "triggers", "backfill", "course.postgres_taxi_scheduled", "green_schedule", "--start", "2019-01-01T00:00:00Z", "--end", "2019-03-31T00:00:00Z",
            "--home", str(house.home),
        )

        def filled() -> Any:
            found = house.call("GET", "/api/v1/executions/search?namespace=course")["results"]
            over = [each for each in found if each["state"]["current"] in ("SUCCESS", "FAILED")]
            return over if len(over) >= 3 else None

        executions = wait_for(filled, "three executions", 90)
        assert [each["state"]["current"] for each in executions] == ["SUCCESS"] * 3, [house.messages(each["id"]) for each in executions]
        assert connection.execute("select filename, count(*) from green_tripdata group by 1 order by 1").fetchall() == [
            ("green_tripdata_2019-01.csv", 1), ("green_tripdata_2019-02.csv", 2), ("green_tripdata_2019-03.csv", 1),
        ]
