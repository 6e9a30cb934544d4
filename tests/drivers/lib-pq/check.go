// lib/pq under database/sql: statements of many connections, COPY, its listener, contexts that end.
// tests/drivers/run lib-pq runs it.
package main

import (
	"checks"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/lib/pq"
)

var background = context.Background()

// dsn is the tenant's URL with one more setting, unless that has no name.
func dsn(name, value string) string {
	parsed, err := url.Parse(checks.DSN())
	checks.Must(err)
	settings := parsed.Query()
	// It is this driver alone that takes no word for TLS.
	if settings.Get("sslmode") == "" {
		settings.Set("sslmode", "disable")
	}
	if name != "" {
		settings.Set(name, value)
	}
	parsed.RawQuery = settings.Encode()
	return parsed.String()
}

func open(name, value string) *sql.DB {
	database, err := sql.Open("postgres", dsn(name, value))
	checks.Must(err)
	return database
}

func connect(database *sql.DB) *sql.Conn {
	connection, err := database.Conn(background)
	checks.Must(err)
	return connection
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, arguments ...interface{}) *sql.Row
}

func number(from querier, query string, arguments ...interface{}) (value int64) {
	checks.Must(from.QueryRowContext(background, query, arguments...).Scan(&value))
	return value
}

func word(from querier, query string, arguments ...interface{}) (value string) {
	checks.Must(from.QueryRowContext(background, query, arguments...).Scan(&value))
	return value
}

type executor interface {
	ExecContext(ctx context.Context, query string, arguments ...interface{}) (sql.Result, error)
}

func run(on executor, query string, arguments ...interface{}) {
	_, err := on.ExecContext(background, query, arguments...)
	checks.Must(err)
}

func refused(code string, err error) {
	var refusal *pq.Error
	if !errors.As(err, &refusal) {
		panic(fmt.Sprintf("not refused with %s: %v", code, err))
	}
	checks.Same(code, string(refusal.Code))
}

func checkQueries(binary string) {
	database := open("binary_parameters", binary)
	defer database.Close()
	what := func(what string) string { return what + ", binary_parameters=" + binary }

	checks.Check(what("queries again and again"), func() {
		for value := int64(0); value < 40; value++ {
			checks.Same(value, number(database, fmt.Sprintf("select $1::bigint as column_%d", value%7), value))
		}
	})
	checks.Check(what("a statement prepared on every connection of the pool"), func() {
		statement, err := database.Prepare("select $1::bigint * 2")
		checks.Must(err)
		defer statement.Close()
		for round := 0; round < 5; round++ {
			checks.AllOf(8, func(worker int) {
				var double int64
				checks.Must(statement.QueryRow(worker).Scan(&double))
				checks.Same(int64(2*worker), double)
			})
		}
	})
	checks.Check(what("many types"), func() {
		moment := time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)
		var text string
		var data []byte
		var float float64
		var yes bool
		var nothing sql.NullString
		var when time.Time
		var numbers []int64
		row := database.QueryRow("select $1::text, $2::bytea, $3::float8, $4::bool, $5::text, $6::timestamptz, $7::int[]",
			"naïve ☃", []byte{0, 255, 16}, 1.5, true, nil, moment, pq.Array([]int64{1, 2, 3}))
		checks.Must(row.Scan(&text, &data, &float, &yes, &nothing, &when, pq.Array(&numbers)))
		checks.Same([]interface{}{"naïve ☃", []byte{0, 255, 16}, 1.5, true, false, true, []int64{1, 2, 3}},
			[]interface{}{text, data, float, yes, nothing.Valid, when.Equal(moment), numbers})
	})
	checks.Check(what("five megabytes there and back"), func() {
		text := strings.Repeat("é", 2_500_000)
		checks.Same(true, text == word(database, "select $1::text", text))
	})
	checks.Check(what("errors, and what follows them"), func() {
		for round := 0; round < 5; round++ {
			_, err := database.Exec("selec 1")
			refused("42601", err)
			_, err = database.Exec("select 1 / $1::int", 0)
			refused("22012", err)
			_, err = database.Prepare("select * from pq_nothing")
			refused("42P01", err)
			checks.Same(int64(1), number(database, "select 1"))
		}
	})
	checks.Check(what("a table that changes beneath a statement"), func() {
		connection := connect(database)
		defer connection.Close()
		run(connection, "drop table if exists pq_changing; create table pq_changing as select 1 as a")
		statement, err := connection.PrepareContext(background, "select a from pq_changing")
		checks.Must(err)
		defer statement.Close()
		for round := 0; round < 4; round++ {
			var a int64
			checks.Must(statement.QueryRow().Scan(&a))
			checks.Same(int64(1), a)
			rows, err := connection.QueryContext(background, "select * from pq_changing where a = $1", 1)
			checks.Must(err)
			columns, err := rows.Columns()
			checks.Must(err)
			checks.Same(round+1, len(columns))
			checks.Must(rows.Close())
			run(connection, fmt.Sprintf("alter table pq_changing add b%d int", round))
		}
		run(connection, "drop table pq_changing")
	})
}

func checkTransactions(database *sql.DB) {
	insert := "insert into pq_items values ($1, $2)"
	checks.Check("transactions and savepoints", func() {
		run(database, "drop table if exists pq_items; create table pq_items (id int primary key, name text)")
		transaction, err := database.Begin()
		checks.Must(err)
		run(transaction, insert, 1, "kept")
		checks.Same(number(transaction, "select pg_backend_pid()"), number(transaction, "select pg_backend_pid()"))
		run(transaction, "savepoint here")
		_, err = transaction.Exec(insert, 1, "again")
		refused("23505", err)
		_, err = transaction.Exec("select 1")
		refused("25P02", err)
		run(transaction, "rollback to savepoint here")
		checks.Must(transaction.Commit())
		transaction, err = database.Begin()
		checks.Must(err)
		run(transaction, insert, 2, "undone")
		checks.Must(transaction.Rollback())
		checks.Same(int64(1), number(database, "select count(*) from pq_items"))
	})
	checks.Check("isolation level and read-only mode", func() {
		transaction, err := database.BeginTx(background, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
		checks.Must(err)
		checks.Same("serializable", word(transaction, "show transaction_isolation"))
		_, err = transaction.Exec(insert, 3, "refused")
		refused("25006", err)
		checks.Must(transaction.Rollback())
	})
}

// copyIn brings 20 000 rows in, and says how that went.
func copyIn(database *sql.DB) error {
	transaction, err := database.Begin()
	checks.Must(err)
	defer transaction.Rollback()
	statement, err := transaction.Prepare(pq.CopyIn("pq_items", "id", "name"))
	checks.Must(err)
	// Until it is closed the driver reads the connection on a goroutine of its own, which else takes away what answers
	// the ROLLBACK: the driver then waits for ever, one time in four on PostgreSQL itself too.
	defer statement.Close()
	for id := 0; id < 20_000; id++ {
		// What the server refuses may be heard of here already.
		if _, err := statement.Exec(id, fmt.Sprintf("item %d", id)); err != nil {
			return err
		}
	}
	if _, err := statement.Exec(); err != nil {
		return err
	}
	checks.Must(statement.Close())
	return transaction.Commit()
}

func checkCopy(database *sql.DB) {
	checks.Check("COPY in, and one that the server refuses", func() {
		run(database, "truncate pq_items")
		checks.Must(copyIn(database))
		refused("23505", copyIn(database))
		checks.Same(int64(20_000), number(database, "select count(*) from pq_items where name = 'item ' || id"))
	})
}

func checkCancelling(database *sql.DB) {
	checks.Check("a context that ends cancels its statement and nothing after it", func() {
		for round := 0; round < 3; round++ {
			ending, end := context.WithCancel(background)
			go func() {
				sleepers := "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and pid <> pg_backend_pid()"
				checks.Eventually("the statement to cancel runs", func() bool { return number(database, sleepers) == 1 })
				end()
			}()
			_, err := database.ExecContext(ending, "select pg_sleep(300)")
			refused("57014", err)
			for value := int64(0); value < 20; value++ {
				checks.Same(value, number(database, "select $1::bigint", value))
			}
		}
	})
}

func checkSession() {
	checks.Check("settings of the connection hold, and stay with it", func() {
		database, others := open("statement_timeout", "66s"), open("application_name", "pq check")
		defer database.Close()
		defer others.Close()
		connection, other := connect(database), connect(others)
		defer connection.Close()
		defer other.Close()
		run(connection, "set timezone = 'Asia/Tokyo'")
		for round := 0; round < 5; round++ {
			checks.Same("0", word(other, "show statement_timeout"))
			checks.Same("pq check", word(other, "show application_name"))
			checks.Same("66s", word(connection, "show statement_timeout"))
			checks.Same("Asia/Tokyo", word(connection, "show timezone"))
		}
	})
	checks.Check("a listener hears what others say, and listens again when its connection has ended", func() {
		listener := pq.NewListener(dsn("application_name", "pq listener"), 10*time.Millisecond, time.Second, nil)
		defer listener.Close()
		checks.Must(listener.Listen("pq_channel"))
		database := open("", "")
		defer database.Close()
		run(database, "select pg_notify('pq_channel', 'one')")
		checks.Same("one", hear(listener).Extra)
		// A gateway may listen for its clients; it is all the same whose backend this is.
		run(database, "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and pid <> pg_backend_pid()")
		checks.Eventually("what is said is heard again", func() bool {
			run(database, "select pg_notify('pq_channel', 'two')")
			select {
			case notification := <-listener.Notify:
				return notification != nil && notification.Extra == "two"
			case <-time.After(100 * time.Millisecond):
				return false
			}
		})
	})
	checks.Check("a wrong password", func() {
		// Not as a setting beside the right one: the driver takes whichever of the two sorts last.
		parsed, err := url.Parse(dsn("", ""))
		checks.Must(err)
		parsed.User = url.UserPassword(parsed.User.Username(), "wrong")
		database, err := sql.Open("postgres", parsed.String())
		checks.Must(err)
		defer database.Close()
		refused("28P01", database.Ping())
	})
}

func hear(listener *pq.Listener) *pq.Notification {
	select {
	case notification := <-listener.Notify:
		return notification
	case <-time.After(checks.Patience):
		panic("nothing was heard")
	}
}

func checkPool(database *sql.DB) {
	checks.Check("a connection whose backend is terminated is replaced", func() {
		transaction, err := database.Begin()
		checks.Must(err)
		pid := number(transaction, "select pg_backend_pid()")
		checks.Same("true", word(database, "select pg_terminate_backend($1)::text", pid))
		_, err = transaction.Exec("select 1")
		checks.Same(true, err != nil)
		_ = transaction.Rollback()
		checks.Same(int64(1), number(database, "select 1"))
	})
	checks.Check("many connections at work at once", func() {
		checks.AllOf(30, func(worker int) {
			connection := connect(database)
			defer connection.Close()
			for round := 0; round < 30; round++ {
				value := int64(worker*1000 + round)
				checks.Same(value, number(connection, fmt.Sprintf("select $1::bigint as column_%d", round%7), value))
			}
		})
	})
}

func main() {
	checks.Start("lib/pq")
	database := open("", "")
	checkQueries("no")
	checkQueries("yes")
	checkTransactions(database)
	checkCopy(database)
	checkCancelling(database)
	checkSession()
	checkPool(database)
	run(database, "drop table pq_items")
	checks.Must(database.Close())
}
