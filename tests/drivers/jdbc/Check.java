// pgjdbc: server-prepared statements, metadata, batches, COPY, cursors, cancelling, network timeouts.
// tests/drivers/run jdbc runs it.

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.jdbc.PreferQueryMode;

public final class Check {
    // What is going to happen happens within this many seconds, or not at all.
    static final int PATIENCE = 60;

    interface Action {
        void run() throws Exception;
    }

    static void check(String what, Action action) {
        try {
            action.run();
        } catch (Throwable thrown) {
            thrown.printStackTrace();
            System.err.println("FAILED: " + what);
            System.exit(1);
        }
        System.out.println("ok: " + what);
    }

    static void same(Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError("expected <" + expected + ">, got <" + actual + ">");
        }
    }

    static SQLException refused(String state, Action action) throws Exception {
        try {
            action.run();
        } catch (SQLException error) {
            same(state, error.getSQLState());
            return error;
        }
        throw new AssertionError("not refused with " + state);
    }

    static Connection connect(String... options) throws SQLException {
        URI dsn = URI.create(System.getenv("TENANTRY_DSN"));
        String[] identity = dsn.getUserInfo().split(":", 2);
        Properties properties = new Properties();
        properties.setProperty("user", identity[0]);
        properties.setProperty("password", identity[1]);
        String settings = dsn.getRawQuery() == null ? "sslmode=prefer" : dsn.getRawQuery();
        for (int index = 0; index < options.length; index += 2) {
            properties.setProperty(options[index], options[index + 1]);
        }
        return DriverManager.getConnection("jdbc:postgresql://" + dsn.getHost() + ":" + dsn.getPort() + dsn.getPath() + "?" + settings, properties);
    }

    static Object one(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int index = 0; index < parameters.length; index++) {
                statement.setObject(index + 1, parameters[index]);
            }
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getObject(1);
            }
        }
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static void checkQueries(String kind, String... options) throws Exception {
        try (Connection connection = connect(options)) {
            check("prepared statements, " + kind, () -> {
                try (PreparedStatement statement = connection.prepareStatement("select ?::int + 1")) {
                    for (int number = 0; number < 20; number++) {
                        statement.setInt(1, number);
                        try (ResultSet rows = statement.executeQuery()) {
                            rows.next();
                            same(number + 1, rows.getInt(1));
                        }
                    }
                }
                for (int number = 0; number < 40; number++) {
                    same(number, one(connection, "select ?::int as column_" + number, number));
                }
            });
            check("a table that changes beneath a statement, " + kind, () -> {
                run(connection, "drop table if exists jdbc_changing; create table jdbc_changing as select 1 as a");
                try (PreparedStatement statement = connection.prepareStatement("select * from jdbc_changing")) {
                    for (int columns = 1; columns < 4; columns++) {
                        for (int round = 0; round < 7; round++) {
                            int seen;
                            try (ResultSet rows = statement.executeQuery()) {
                                seen = rows.getMetaData().getColumnCount();
                            } catch (SQLException changed) {
                                // A statement that the driver has described before is not described again: it hears
                                // of the change once, and prepares anew.
                                same("0A000", changed.getSQLState());
                                same(0, round);
                                continue;
                            }
                            same(columns, seen);
                        }
                        run(connection, "alter table jdbc_changing add b" + columns + " int");
                    }
                }
                run(connection, "drop table jdbc_changing");
            });
            check("types, " + kind, () -> {
                for (int round = 0; round < 8; round++) {
                    same(1L << 40, one(connection, "select ?::bigint", 1L << 40));
                    same(new BigDecimal("12345.6789"), one(connection, "select ?::numeric", new BigDecimal("12345.6789")));
                    same("naïve ☃", one(connection, "select ?::text", "naïve ☃"));
                    same(true, one(connection, "select ?::bool", true));
                    same(new UUID(1, 2), one(connection, "select ?::uuid", new UUID(1, 2)));
                    same(1.5, one(connection, "select ?::float8", 1.5));
                    OffsetDateTime then = OffsetDateTime.of(2024, 2, 29, 1, 2, 3, 0, ZoneOffset.UTC);
                    same(Timestamp.from(then.toInstant()), one(connection, "select ?::timestamptz", then));
                    byte[] data = {0, -1, 16};
                    // pgjdbc has no way to write one into a simple query.
                    boolean simple = connection.unwrap(PGConnection.class).getPreferQueryMode() == PreferQueryMode.SIMPLE;
                    same(true, simple || Arrays.equals(data, (byte[]) one(connection, "select ?::bytea", (Object) data)));
                    Array array = (Array) one(connection, "select ?::int[]", connection.createArrayOf("int4", new Integer[] {1, null, 3}));
                    same(List.of("1", "null", "3"), Arrays.stream((Object[]) array.getArray()).map(String::valueOf).toList());
                }
            });
            check("errors, and what follows them, " + kind, () -> {
                for (int round = 0; round < 3; round++) {
                    refused("42703", () -> one(connection, "select nope"));
                    refused("22012", () -> one(connection, "select 1 / ?::int", 0));
                    refused("42601", () -> run(connection, "selec 1"));
                    same(1, one(connection, "select 1"));
                }
            });
            check("transactions and savepoints, " + kind, () -> {
                run(connection, "drop table if exists jdbc_items; create table jdbc_items (id int primary key, name text)");
                connection.setAutoCommit(false);
                run(connection, "insert into jdbc_items values (1, 'kept')");
                Savepoint savepoint = connection.setSavepoint("here");
                refused("23505", () -> run(connection, "insert into jdbc_items values (1, 'again')"));
                refused("25P02", () -> one(connection, "select 1"));
                connection.rollback(savepoint);
                connection.commit();
                run(connection, "insert into jdbc_items values (2, 'undone')");
                connection.rollback();
                same(1L, one(connection, "select count(*) from jdbc_items"));
                connection.commit();
                connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
                same("serializable", one(connection, "show transaction_isolation"));
                connection.commit();
                connection.setAutoCommit(true);
            });
            check("batches, and a batch with an error in it, " + kind, () -> {
                run(connection, "truncate jdbc_items");
                connection.setAutoCommit(false);
                try (PreparedStatement statement = connection.prepareStatement("insert into jdbc_items values (?, ?)")) {
                    for (int number = 0; number < 2000; number++) {
                        statement.setInt(1, number);
                        statement.setString(2, "item " + number);
                        statement.addBatch();
                    }
                    same(2000, statement.executeBatch().length);
                    connection.commit();
                    for (int number : new int[] {3000, 1, 3001}) {
                        statement.setInt(1, number);
                        statement.setString(2, "more");
                        statement.addBatch();
                    }
                    refused("23505", statement::executeBatch);
                    connection.rollback();
                }
                connection.setAutoCommit(true);
                same(2000L, one(connection, "select count(*) from jdbc_items"));
            });
            check("a cursor by fetch size, left early and read to its end, " + kind, () -> {
                connection.setAutoCommit(false);
                for (int limit : new int[] {150, 2000}) {
                    try (PreparedStatement statement = connection.prepareStatement("select id from jdbc_items order by id")) {
                        statement.setFetchSize(100);
                        try (ResultSet rows = statement.executeQuery()) {
                            int count = 0;
                            while (count < limit && rows.next()) {
                                same(count++, rows.getInt(1));
                            }
                            same(limit, count);
                        }
                    }
                }
                connection.commit();
                connection.setAutoCommit(true);
            });
        }
    }

    static void checkMetadata() throws Exception {
        try (Connection connection = connect()) {
            check("metadata of tables, columns, keys and results", () -> {
                DatabaseMetaData metadata = connection.getMetaData();
                same("PostgreSQL", metadata.getDatabaseProductName());
                List<String> columns = new ArrayList<>();
                try (ResultSet rows = metadata.getColumns(null, "public", "jdbc_items", null)) {
                    while (rows.next()) {
                        columns.add(rows.getString("COLUMN_NAME") + " " + rows.getString("TYPE_NAME"));
                    }
                }
                same(List.of("id int4", "name text"), columns);
                try (ResultSet rows = metadata.getPrimaryKeys(null, "public", "jdbc_items")) {
                    rows.next();
                    same("id", rows.getString("COLUMN_NAME"));
                }
                try (ResultSet rows = metadata.getTables(null, null, "jdbc_items", new String[] {"TABLE"})) {
                    same(true, rows.next());
                }
                try (PreparedStatement statement = connection.prepareStatement("select id, name from jdbc_items where id = ?")) {
                    same("int4", statement.getMetaData().getColumnTypeName(1));
                    same("int4", statement.getParameterMetaData().getParameterTypeName(1));
                }
                same(true, connection.isValid(PATIENCE));
            });
        }
    }

    static void checkCopy() throws Exception {
        try (Connection connection = connect()) {
            CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder lines = new StringBuilder();
            for (int number = 0; number < 20000; number++) {
                lines.append(number).append("\titem ").append(number).append('\n');
            }
            check("COPY in and out", () -> {
                run(connection, "truncate jdbc_items");
                same(20000L, copy.copyIn("copy jdbc_items from stdin", new StringReader(lines.toString())));
                ByteArrayOutputStream out = new ByteArrayOutputStream();
                same(20000L, copy.copyOut("copy (select * from jdbc_items order by id) to stdout", out));
                same(lines.toString(), out.toString(StandardCharsets.UTF_8));
            });
            check("a COPY that the server refuses, and one that the client breaks off", () -> {
                refused("23505", () -> copy.copyIn("copy jdbc_items from stdin", new StringReader(lines.toString())));
                var begun = copy.copyIn("copy jdbc_items from stdin");
                begun.cancelCopy();
                same(20000L, one(connection, "select count(*) from jdbc_items"));
            });
        }
    }

    static void awaitCount(long count, String sql) throws Exception {
        try (Connection watcher = connect()) {
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE);
            while (!one(watcher, sql).equals(count)) {
                if (System.nanoTime() > deadline) {
                    throw new AssertionError("waited in vain until " + sql + " is " + count);
                }
                Thread.sleep(20);
            }
        }
    }

    static final String SLEEPERS = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and pid <> pg_backend_pid()";

    static void checkCancelling() throws Exception {
        try (Connection connection = connect()) {
            check("cancel() ends a statement and nothing after it", () -> {
                try (Statement statement = connection.createStatement()) {
                    Future<?> cancelled = ForkJoinPool.commonPool().submit(() -> {
                        awaitCount(1, SLEEPERS);
                        statement.cancel();
                        return null;
                    });
                    refused("57014", () -> statement.execute("select pg_sleep(300)"));
                    cancelled.get();
                }
                for (int number = 0; number < 20; number++) {
                    same(number, one(connection, "select ?::int", number));
                }
            });
            check("setQueryTimeout ends a statement", () -> {
                try (Statement statement = connection.createStatement()) {
                    statement.setQueryTimeout(1);
                    refused("57014", () -> statement.execute("select pg_sleep(300)"));
                }
                same(1, one(connection, "select 1"));
            });
        }
        check("setNetworkTimeout ends the connection, and what it held is released", () -> {
            try (Connection connection = connect()) {
                connection.setAutoCommit(false);
                one(connection, "select 1 from pg_advisory_xact_lock(4712)");
                connection.setNetworkTimeout(Runnable::run, 200);
                refused("08006", () -> run(connection, "select pg_sleep(300)"));
                same(true, connection.isClosed());
            }
            awaitCount(0, "select count(*) from pg_locks where locktype = 'advisory' and objid = 4712");
        });
    }

    static void checkSession() throws Exception {
        check("settings of the connection hold, and follow it", () -> {
            try (Connection connection = connect("ApplicationName", "jdbc check", "options", "-c statement_timeout=66s", "currentSchema", "pg_catalog")) {
                same("jdbc check", one(connection, "show application_name"));
                same("66s", one(connection, "show statement_timeout"));
                same("pg_catalog", connection.getSchema());
                connection.setClientInfo("ApplicationName", "another name");
                same("another name", one(connection, "show application_name"));
            }
        });
        check("LISTEN hears what others say", () -> {
            try (Connection listener = connect(); Connection speaker = connect()) {
                run(listener, "listen jdbc_channel");
                run(speaker, "notify jdbc_channel, 'heard'");
                var heard = listener.unwrap(PGConnection.class).getNotifications(PATIENCE * 1000);
                same("heard", heard[0].getParameter());
            }
        });
        check("a wrong password", () -> refused("28P01", () -> connect("password", "wrong")));
        check("many connections at work at once", () -> {
            ExecutorService workers = Executors.newFixedThreadPool(30);
            List<Future<Object>> answers = new ArrayList<>();
            for (int worker = 0; worker < 30; worker++) {
                int number = worker;
                answers.add(workers.submit(() -> {
                    try (Connection connection = connect("prepareThreshold", "1")) {
                        for (int round = 0; round < 20; round++) {
                            same(number * 100 + round, one(connection, "select ?::int", number * 100 + round));
                        }
                        return number;
                    }
                }));
            }
            for (int worker = 0; worker < 30; worker++) {
                same(worker, answers.get(worker).get());
            }
            workers.shutdown();
        });
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("pgjdbc " + org.postgresql.util.DriverInfo.DRIVER_VERSION + ", Java " + Runtime.version());
        checkQueries("named from the first use", "prepareThreshold", "1");
        checkQueries("named from the fifth use");
        checkQueries("never named", "prepareThreshold", "0");
        checkQueries("simple protocol", "preferQueryMode", "simple");
        checkMetadata();
        checkCopy();
        checkCancelling();
        checkSession();
        try (Connection connection = connect()) {
            run(connection, "drop table jdbc_items");
        }
    }
}
