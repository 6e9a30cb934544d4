// pgx: its statement cache in both modes and the simple protocol, batches, CopyFrom, notifications, cancelling, its pool.
// tests/drivers/run pgx runs it.
package main

import (
	"checks"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgconn/stmtcache"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var background = context.Background()

func connect(change func(config *pgx.ConnConfig)) *pgx.Conn {
	config, err := pgx.ParseConfig(checks.DSN())
	checks.Must(err)
	change(config)
	connection, err := pgx.ConnectConfig(background, config)
	checks.Must(err)
	return connection
}

func asItIs(*pgx.ConnConfig) {}

type querier interface {
	QueryRow(ctx context.Context, sql string, arguments ...interface{}) pgx.Row
}

func number(connection querier, sql string, arguments ...interface{}) (value int64) {
	checks.Must(connection.QueryRow(background, sql, arguments...).Scan(&value))
	return value
}

func word(connection querier, sql string, arguments ...interface{}) (value string) {
	checks.Must(connection.QueryRow(background, sql, arguments...).Scan(&value))
	return value
}

func run(connection *pgx.Conn, sql string, arguments ...interface{}) {
	_, err := connection.Exec(background, sql, arguments...)
	checks.Must(err)
}

func refused(code string, err error) {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		panic(fmt.Sprintf("not refused with %s: %v", code, err))
	}
	checks.Same(code, refusal.Code)
}

func checkQueries(mode string, change func(config *pgx.ConnConfig)) {
	connection := connect(change)
	defer connection.Close(background)
	what := func(what string) string { return what + ", " + mode }
	simple := mode == "simple protocol"

	checks.Check(what("queries again and again, and more of them than are cached"), func() {
		for value := int64(0); value < 50; value++ {
			checks.Same(value+1, number(connection, "select $1::bigint + 1", value))
		}
		for value := int64(0); value < 40; value++ {
			checks.Same(value, number(connection, fmt.Sprintf("select $1::bigint as column_%d", value), value))
		}
	})
	checks.Check(what("many types"), func() {
		moment := time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)
		var text string
		var data []byte
		var float float64
		var yes bool
		var nothing *string
		var when time.Time
		var numbers []int32
		row := connection.QueryRow(background,
			"select $1::text, $2::bytea, $3::float8, $4::bool, $5::text, $6::timestamptz, $7::int[]",
			"naïve ☃", []byte{0, 255, 16}, 1.5, true, nil, moment, []int32{1, 2, 3})
		checks.Must(row.Scan(&text, &data, &float, &yes, &nothing, &when, &numbers))
		checks.Same([]interface{}{"naïve ☃", []byte{0, 255, 16}, 1.5, true, (*string)(nil), true, []int32{1, 2, 3}},
			[]interface{}{text, data, float, yes, nothing, when.Equal(moment), numbers})
	})
	checks.Check(what("five megabytes there and back"), func() {
		text := strings.Repeat("é", 2_500_000)
		checks.Same(true, text == word(connection, "select $1::text", text))
	})
	checks.Check(what("errors, and what follows them"), func() {
		for round := 0; round < 5; round++ {
			_, err := connection.Exec(background, "selec 1")
			refused("42601", err)
			_, err = connection.Exec(background, "select * from pgx_nothing")
			refused("42P01", err)
			_, err = connection.Exec(background, "select 1 / $1::int", 0)
			refused("22012", err)
			checks.Same(int64(1), number(connection, "select 1"))
		}
	})
	checks.Check(what("a batch answers each with its own, and an error ends it"), func() {
		batch := &pgx.Batch{}
		for value := 0; value < 300; value++ {
			batch.Queue("select $1::bigint", value)
		}
		results := connection.SendBatch(background, batch)
		for value := int64(0); value < 300; value++ {
			var got int64
			checks.Must(results.QueryRow().Scan(&got))
			checks.Same(value, got)
		}
		checks.Must(results.Close())

		run(connection, "create table if not exists pgx_batch (a int)")
		batch = &pgx.Batch{}
		batch.Queue("insert into pgx_batch values (1)")
		batch.Queue("select 1 / $1::int", 0)
		batch.Queue("insert into pgx_batch values (2)")
		results = connection.SendBatch(background, batch)
		_, err := results.Exec()
		checks.Must(err)
		_, err = results.Exec()
		refused("22012", err)
		_ = results.Close()
		checks.Same(int64(0), number(connection, "select count(*) from pgx_batch"))
	})
	checks.Check(what("a table that changes beneath a statement"), func() {
		run(connection, "drop table if exists pgx_changing")
		run(connection, "create table pgx_changing as select 1 as a")
		for columns := 1; columns < 4; columns++ {
			for round := 0; round < 5; round++ {
				rows, err := connection.Query(background, "select * from pgx_changing")
				checks.Must(err)
				rows.Next()
				seen := len(rows.FieldDescriptions())
				rows.Close()
				// What pgx knows of a statement's rows it does not ask again: it hears of the change once, and
				// prepares anew. Without a statement there is nothing to know.
				if err := rows.Err(); err != nil && !simple && round == 0 {
					refused("0A000", err)
					continue
				}
				checks.Must(rows.Err())
				checks.Same(columns, seen)
			}
			run(connection, fmt.Sprintf("alter table pgx_changing add b%d int", columns))
		}
		run(connection, "drop table pgx_changing")
	})
	checks.Check(what("transactions and savepoints"), func() {
		run(connection, "drop table if exists pgx_items")
		run(connection, "create table pgx_items (id int primary key, name text)")
		insert := "insert into pgx_items values ($1, $2)"
		transaction, err := connection.Begin(background)
		checks.Must(err)
		_, err = transaction.Exec(background, insert, 1, "kept")
		checks.Must(err)
		checks.Same(number(transaction, "select pg_backend_pid()"), number(transaction, "select pg_backend_pid()"))
		savepoint, err := transaction.Begin(background)
		checks.Must(err)
		_, err = savepoint.Exec(background, insert, 1, "again")
		refused("23505", err)
		checks.Must(savepoint.Rollback(background))
		checks.Must(transaction.Commit(background))
		transaction, err = connection.BeginTx(background, pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly})
		checks.Must(err)
		_, err = transaction.Exec(background, insert, 2, "refused")
		refused("25006", err)
		checks.Must(transaction.Rollback(background))
		checks.Same(int64(1), number(connection, "select count(*) from pgx_items"))
	})
}

func checkCopy() {
	connection := connect(asItIs)
	defer connection.Close(background)
	rows := make([][]interface{}, 20_000)
	for id := range rows {
		rows[id] = []interface{}{int32(id), fmt.Sprintf("item %d", id)}
	}
	checks.Check("CopyFrom brings rows in, the server's COPY takes them out", func() {
		run(connection, "truncate pgx_items")
		count, err := connection.CopyFrom(background, pgx.Identifier{"pgx_items"}, []string{"id", "name"}, pgx.CopyFromRows(rows))
		checks.Must(err)
		checks.Same(int64(len(rows)), count)
		var out, expected strings.Builder
		_, err = connection.PgConn().CopyTo(background, &out, "copy (select * from pgx_items order by id) to stdout")
		checks.Must(err)
		for _, row := range rows {
			fmt.Fprintf(&expected, "%d\t%s\n", row...)
		}
		checks.Same(true, expected.String() == out.String())
	})
	checks.Check("a COPY that the server refuses", func() {
		_, err := connection.CopyFrom(background, pgx.Identifier{"pgx_items"}, []string{"id", "name"}, pgx.CopyFromRows(rows))
		refused("23505", err)
		checks.Same(int64(len(rows)), number(connection, "select count(*) from pgx_items"))
	})
}

const sleepers = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and pid <> pg_backend_pid()"

func checkCancelling() {
	connection, watcher := connect(asItIs), connect(asItIs)
	defer connection.Close(background)
	defer watcher.Close(background)
	checks.Check("a cancel request ends a statement and nothing after it", func() {
		for round := 0; round < 3; round++ {
			cancelled := make(chan error)
			go func() {
				checks.Eventually("the statement to cancel runs", func() bool { return number(watcher, sleepers) == 1 })
				cancelled <- connection.PgConn().CancelRequest(background)
			}()
			_, err := connection.Exec(background, "select pg_sleep(300)")
			refused("57014", err)
			checks.Must(<-cancelled)
			for value := int64(0); value < 20; value++ {
				checks.Same(value, number(connection, "select $1::bigint", value))
			}
		}
	})
	checks.Check("a context that ends closes the connection, and what it held is released", func() {
		impatient := connect(asItIs)
		run(impatient, "begin")
		run(impatient, "select pg_advisory_xact_lock(4713)")
		ending, end := context.WithTimeout(background, 200*time.Millisecond)
		defer end()
		_, err := impatient.Exec(ending, "select pg_sleep(300)")
		checks.Same(true, pgconn.Timeout(err))
		checks.Eventually("the lock is released", func() bool {
			return number(watcher, "select count(*) from pg_locks where locktype = 'advisory' and objid = 4713") == 0
		})
	})
}

func checkSession() {
	checks.Check("settings of the connection hold, and stay with it", func() {
		connection := connect(func(config *pgx.ConnConfig) {
			config.RuntimeParams["application_name"] = "pgx check"
			config.RuntimeParams["statement_timeout"] = "66s"
		})
		defer connection.Close(background)
		run(connection, "set timezone = 'Asia/Tokyo'")
		other := connect(asItIs)
		defer other.Close(background)
		for round := 0; round < 5; round++ {
			checks.Same("0", word(other, "show statement_timeout"))
			checks.Same("66s", word(connection, "show statement_timeout"))
			checks.Same("pgx check", word(connection, "show application_name"))
			checks.Same("Asia/Tokyo", word(connection, "show timezone"))
		}
		checks.Same("Asia/Tokyo", connection.PgConn().ParameterStatus("TimeZone"))
	})
	checks.Check("LISTEN hears what others say", func() {
		listener, speaker := connect(asItIs), connect(asItIs)
		defer listener.Close(background)
		defer speaker.Close(background)
		run(listener, "listen pgx_channel")
		for _, payload := range []string{"one", "two"} {
			run(speaker, "select pg_notify('pgx_channel', $1)", payload)
		}
		patient, end := context.WithTimeout(background, checks.Patience)
		defer end()
		for _, payload := range []string{"one", "two"} {
			heard, err := listener.WaitForNotification(patient)
			checks.Must(err)
			checks.Same(payload, heard.Payload)
		}
		checks.Same(int64(1), number(listener, "select 1"))
	})
	checks.Check("a wrong password", func() {
		config, err := pgx.ParseConfig(checks.DSN())
		checks.Must(err)
		config.Password = "wrong"
		_, err = pgx.ConnectConfig(background, config)
		refused("28P01", err)
	})
}

func checkPool() {
	config, err := pgxpool.ParseConfig(checks.DSN())
	checks.Must(err)
	config.MaxConns = 30
	pool, err := pgxpool.ConnectConfig(background, config)
	checks.Must(err)
	defer pool.Close()
	checks.Check("many connections at work at once, each with statements of its own", func() {
		checks.AllOf(30, func(worker int) {
			connection, err := pool.Acquire(background)
			checks.Must(err)
			defer connection.Release()
			for round := 0; round < 50; round++ {
				value := int64(worker*1000 + round)
				checks.Same(value, number(connection, fmt.Sprintf("select $1::bigint as column_%d", round%7), value))
			}
		})
	})
	checks.Check("a connection whose backend is terminated is replaced", func() {
		transaction, err := pool.Begin(background)
		checks.Must(err)
		pid := number(transaction, "select pg_backend_pid()")
		checks.Same(true, word(pool, "select pg_terminate_backend($1)::text", pid) == "true")
		_, err = transaction.Exec(background, "select 1")
		checks.Same(true, err != nil)
		_ = transaction.Rollback(background)
		checks.Same(int64(1), number(pool, "select 1"))
	})
}

func statements(mode int, capacity int) func(config *pgx.ConnConfig) {
	return func(config *pgx.ConnConfig) {
		config.BuildStatementCache = func(connection *pgconn.PgConn) stmtcache.Cache {
			return stmtcache.New(connection, mode, capacity)
		}
	}
}

func main() {
	checks.Start("pgx")
	checkQueries("named statements", asItIs)
	checkQueries("few named statements", statements(stmtcache.ModePrepare, 5))
	checkQueries("unnamed statements", statements(stmtcache.ModeDescribe, 100))
	checkQueries("simple protocol", func(config *pgx.ConnConfig) { config.PreferSimpleProtocol = true })
	checkCopy()
	checkCancelling()
	checkSession()
	checkPool()
	connection := connect(asItIs)
	run(connection, "drop table pgx_items, pgx_batch")
	checks.Must(connection.Close(background))
}
