"""What the properties of the SQL tasks mean, and one example of each type. Read by app/plugins when a schema or documentation is made.

Keys of WORDS: a property, `Class.property`, or type and property; see podium.flows.models.words.
"""

from __future__ import annotations

WORDS: dict[str, str] = {
    # connections
    "url": "Address of the database, as a JDBC URL.",
    "Postgres.url": "Address of the database: jdbc:postgresql://host:5432/database, with parameters after `?`.",
    "DuckDb.url": "jdbc:duckdb: for a throw-away database, jdbc:duckdb:/path/file.db for a file, jdbc:duckdb:md:name for MotherDuck.",
    "Sqlite.url": "jdbc:sqlite: for a database in memory, jdbc:sqlite:file.db for a file; a relative path is below the working directory.",
    "username": "Who logs in.",
    "password": "Password to log in with; take it from `secret()`.",
    "timeZoneId": "Time zone of moments in results, like Europe/Paris; otherwise the instance's.",
    "connectionPooling": "Accepted without effect: each run has one connection of its own.",
    "connectionPoolSize": "Accepted without effect: each run has one connection of its own.",
    "ssl": "true without sslMode: encrypted, and the server's certificate and name are verified.",
    "sslMode": "How much is asked of the server's encryption, from DISABLE to VERIFY_FULL.",
    "sslRootCert": "Certificates to trust, as PEM text; otherwise those of the machine.",
    "sslCert": "The client's certificate, as PEM text.",
    "sslKey": "The client's private key, as PEM text.",
    "sslKeyPassword": "Password of that key.",
    # queries
    "sql": "SQL to run.",
    "QueryTask.sql": "One SQL statement.",
    "QueriesTask.sql": "SQL statements, with `;` between them.",
    "QueryTrigger.sql": "One SQL statement; the flow starts when it gives rows.",
    "CopyOut.sql": "One query whose rows are copied; instead of `table`.",
    "BatchTask.sql": "One statement with a `?` for each value; instead of `table`.",
    "fetchType": "What becomes of the rows: FETCH all to the output `rows`, FETCH_ONE the first to `row`, STORE to a file, its URI is `uri`.",
    "fetchSize": "Rows asked for at a time with STORE.",
    "parameters": "Name → value: `:name` in the SQL is bound to it, never put into the text.",
    "afterSQL": "One statement to run after `sql`, in the same transaction; to mark rows as done.",
    "fetch": "Use fetchType: FETCH.",
    "fetchOne": "Use fetchType: FETCH_ONE.",
    "store": "Use fetchType: STORE.",
    "transaction": "All statements in one transaction: if one fails, none counts. false: each by itself.",
    "interval": "Time between two queries.",
    # files
    "inputFiles": "Name → content or URI of a stored file: files that the SQL can read by their names.",
    "outputFiles": "Names of files that the SQL writes to `{{ outputFiles.<name> }}`; they are stored, and their URIs are the output.",
    "databaseUri": "URI of a stored database file to work on a copy of.",
    "sqliteFile": "URI of a stored database file to work on a copy of.",
    "outputDbFile": "Store the database file afterwards; its URI is the output `databaseUri`.",
    "communityExtensions": "Extensions of DuckDB's community to load; one that cannot be had is told of in the log.",
    # batch
    "from": "URI of a stored file.",
    "BatchTask.from": "URI of a stored file of records (Ion, JSON Lines), or of CSV with a header when its name ends in .csv.",
    "table": "Name of a table, `name` or `schema.name`.",
    "BatchTask.table": "Table to insert into, `name` or `schema.name`; instead of `sql`.",
    "columns": "Columns to copy; otherwise all.",
    "BatchTask.columns": "Fields of the rows to take, in the order of the statement; with `table` otherwise those that row and table share.",
    "chunk": "Rows sent, and committed, at a time.",
    "maxRetries": "How often to try again.",
    "retryBackoff": "Pause before another try.",
    "inputHandling": "Accepted without effect: the file is copied first.",
    "localBufferMaxBytes": "Accepted without effect: the file is copied first.",
    "resumeOnRetry": "Another try goes on after what is committed. false: it begins anew.",
    "retryScope": "What is tried again: INPUT reading the file, ALL also what the database refuses for a passing reason, NONE nothing.",
    # copy
    "format": "Format of the file.",
    "oids": "Copy the object ids of rows; servers before PostgreSQL 12 only.",
    "freeze": "Freeze the rows as VACUUM FREEZE would; for a table made or emptied in the same transaction only.",
    "delimiter": "Character between columns; otherwise a tab in TEXT and a comma in CSV.",
    "nullString": "Text that stands for NULL; otherwise \\N in TEXT and nothing in CSV.",
    "header": "The file begins with a line of column names.",
    "quote": "Quotation mark of CSV.",
    "escape": "Character before a quotation mark inside of quotes; otherwise the mark is doubled.",
    "forceQuote": "Columns that are always quoted; [\"*\"] is all of them.",
    "forceNotNull": "Columns whose values are never NULL: nothing is the empty text.",
    "forceNull": "Columns in which the quoted empty text is NULL too.",
    "encoding": "Encoding of the file; otherwise UTF8.",
    "socketTimeout": "Seconds without an answer of the network after which the connection is given up.",
}

_SERVER = "url: 'jdbc:postgresql://db:5432/shop', username: etl, password: \"{{ secret('DB_PASSWORD') }}\""
_EXAMPLES = {
    "postgresql.Query": "{id: query, type: jdbc.postgresql.Query, SERVER, sql: select * from orders, fetchType: STORE}",
    "postgresql.Queries": "{id: count, type: jdbc.postgresql.Queries, SERVER, sql: truncate staging; select 1 as n, fetchType: FETCH_ONE}",
    "postgresql.Batch": "{id: load, type: jdbc.postgresql.Batch, SERVER, from: FILE, table: orders}",
    "postgresql.CopyIn": "{id: copy, type: jdbc.postgresql.CopyIn, SERVER, from: FILE, table: staging, format: CSV, header: true}",
    "postgresql.CopyOut": "{id: copy, type: jdbc.postgresql.CopyOut, SERVER, sql: select * from orders, format: CSV, header: true}",
    "postgresql.Trigger": (
        "{id: new-orders, type: jdbc.postgresql.Trigger, SERVER, interval: PT1M, sql: select * from orders where not done, "
        "afterSQL: update orders set done = true}"
    ),
    "duckdb.Query": "{id: rows, type: jdbc.duckdb.Query, inputFiles: {orders.csv: FILE}, sql: from 'orders.csv', fetchType: FETCH}",
    "duckdb.Queries": (
        "{id: convert, type: jdbc.duckdb.Queries, inputFiles: {orders.csv: FILE}, outputFiles: [all.parquet], "
        "sql: \"copy (from 'orders.csv') to '{{ outputFiles['all.parquet'] }}'\"}"
    ),
    "duckdb.Trigger": "{id: orders, type: jdbc.duckdb.Trigger, url: 'jdbc:duckdb:/srv/shop.db', sql: from orders where not done}",
    "sqlite.Query": "{id: rows, type: jdbc.sqlite.Query, url: 'jdbc:sqlite:/srv/shop.db', sql: select * from orders, fetchType: FETCH}",
    "sqlite.Queries": "{id: make, type: jdbc.sqlite.Queries, url: 'jdbc:sqlite:shop.db', sql: create table t (a integer), outputDbFile: true}",
    "sqlite.Trigger": "{id: orders, type: jdbc.sqlite.Trigger, url: 'jdbc:sqlite:/srv/shop.db', sql: select * from orders where not done}",
}
EXAMPLES: dict[str, str] = {
    f"io.kestra.plugin.jdbc.{name}": text.replace("SERVER", _SERVER).replace("FILE", "'{{ outputs.download.uri }}'")
    for name, text in _EXAMPLES.items()
}
"""Type → YAML."""
