"""SQLAlchemy over psycopg: its pool, its ORM, its metadata and reflection, more threads than connections.

tests/drivers/run sqlalchemy runs it.
"""

import datetime
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import sqlalchemy
from sqlalchemy import (ARRAY, JSON, Column, ForeignKey, Integer, LargeBinary, MetaData, Numeric, String, Table, Uuid,
                        create_engine, event, func, inspect, select, text)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
from checks import DSN, PATIENCE, check, same  # noqa: E402

URL = DSN.replace("postgres://", "postgresql+psycopg://", 1)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "sqlalchemy_authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    version: Mapped[int] = mapped_column()
    books: Mapped[list["Book"]] = relationship(back_populates="author", cascade="all, delete-orphan")
    __mapper_args__ = {"version_id_col": version}


class Book(Base):
    __tablename__ = "sqlalchemy_books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("sqlalchemy_authors.id"))
    author: Mapped[Author] = relationship(back_populates="books")


def refused(error, sqlstate, action):
    try:
        action()
    except error as refusal:
        same(sqlstate, refusal.orig.sqlstate)
        return refusal
    raise AssertionError(f"not refused with {sqlstate}")


def check_orm(engine):
    with check("tables made from classes"):
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
    with check("objects kept with those that belong to them, their keys returned"):
        with Session(engine) as session:
            session.add_all([Author(name=f"author {n}", books=[Book(title=f"book {n}.{m}") for m in range(3)])
                             for n in range(400)])
            session.commit()
        with Session(engine) as session:
            authors = session.scalars(select(Author).options(selectinload(Author.books)).order_by(Author.id)).all()
            same([f"author {n}" for n in range(400)], [author.name for author in authors])
            same([3] * 400, [len(author.books) for author in authors])
    with check("a savepoint is rolled back, its transaction is not"):
        with Session(engine) as session:
            session.add(Author(name="outside"))
            session.flush()
            refused(IntegrityError, "23505", lambda: in_savepoint(session, Author(name="author 1")))
            session.add(Author(name="after"))
            session.commit()
            same(2, session.scalar(select(func.count()).where(Author.name.in_(["outside", "after"]))))
    with check("a rollback undoes, and what is deleted takes its own along"):
        with Session(engine) as session:
            session.delete(session.scalars(select(Author).filter_by(name="author 2")).one())
            session.flush()
            same(1197, session.scalar(select(func.count(Book.id))))
            session.rollback()
            same(1200, session.scalar(select(func.count(Book.id))))
    with check("an object that another session changed is not overwritten"):
        with Session(engine) as mine, Session(engine) as other:
            author = mine.scalars(select(Author).filter_by(name="author 3")).one()
            other.scalars(select(Author).filter_by(name="author 3")).one().name = "changed"
            other.commit()
            author.name = "overwritten"
            try:
                mine.commit()
                raise AssertionError("the other session's change is lost")
            except sqlalchemy.orm.exc.StaleDataError:
                mine.rollback()


def in_savepoint(session, thing):
    with session.begin_nested():
        session.add(thing)


def check_core(engine):
    metadata = MetaData()
    things = Table(
        "sqlalchemy_things", metadata,
        Column("id", Integer, primary_key=True), Column("name", String, nullable=False), Column("price", Numeric(12, 4)),
        Column("data", JSONB), Column("tags", ARRAY(String)), Column("raw", LargeBinary), Column("key", Uuid),
    )
    metadata.drop_all(engine)
    metadata.create_all(engine)
    row = (1, "naïve ☃", Decimal("12345.6789"), {"a": [1, None]}, ["a", 'b"c', None], b"\x00\xff\x10" * 1000, uuid.UUID(int=1))
    with check("many types there and back"):
        with engine.begin() as connection:
            connection.execute(things.insert().values(row))
            same(row, tuple(connection.execute(select(things)).one()))
            then = datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.timezone.utc)
            same(then, connection.scalar(select(sqlalchemy.literal(then))))
            same({"b": 2}, connection.scalar(select(sqlalchemy.literal({"b": 2}, JSON))))
    with check("thousands of rows inserted at once, each with its key returned"):
        with engine.begin() as connection:
            values = [{"id": n, "name": f"thing {n}"} for n in range(2, 5002)]
            returned = connection.scalars(things.insert().returning(things.c.id, sort_by_parameter_order=True), values)
            same([value["id"] for value in values], returned.all())
    with check("an upsert"):
        with engine.begin() as connection:
            upsert = insert(things).values(id=1, name="again")
            connection.execute(upsert.on_conflict_do_update(index_elements=["id"], set_={"name": upsert.excluded.name}))
            same("again", connection.scalar(select(things.c.name).where(things.c.id == 1)))
    with check("five megabytes there and back"):
        value = "é" * 2_500_000
        with engine.connect() as connection:
            same(value, connection.scalar(select(sqlalchemy.literal(value))))
    with check("rows streamed through a cursor of the server"):
        with engine.connect() as connection:
            streamed = connection.execution_options(yield_per=300).scalars(select(things.c.id).order_by(things.c.id))
            same(list(range(1, 5002)), list(streamed))
    with check("reflection finds what was made"):
        reflected = Table("sqlalchemy_things", MetaData(), autoload_with=engine)
        same([column.name for column in things.columns], [column.name for column in reflected.columns])
        inspector = inspect(engine)
        same("sqlalchemy_authors", inspector.get_foreign_keys("sqlalchemy_books")[0]["referred_table"])
        same(["name"], inspector.get_unique_constraints("sqlalchemy_authors")[0]["column_names"])
    with check("errors have their code, and the connection goes on"):
        with engine.connect() as connection:
            refused(ProgrammingError, "42703", lambda: connection.execute(text("select nope")))
            connection.rollback()
            refused(DBAPIError, "22012", lambda: connection.execute(text("select 1 / :zero"), {"zero": 0}))
            refused(DBAPIError, "25P02", lambda: connection.execute(text("select 1")))
            connection.rollback()
            same(1, connection.scalar(text("select 1")))
    metadata.drop_all(engine)


def check_changes():
    """Statements that psycopg prepares at their first use, in one process' pool of three connections."""
    engine = create_engine(URL, pool_size=3, max_overflow=0, connect_args={"prepare_threshold": 0})
    with check("prepared statements over several pooled connections"):
        statement = select(sqlalchemy.literal(1, Integer) + sqlalchemy.bindparam("n", type_=Integer))
        for _ in range(20):
            connections = [engine.connect() for _ in range(3)]
            same([1, 2, 3], [connection.scalar(statement, {"n": n}) for n, connection in enumerate(connections)])
            for connection in connections:
                connection.close()
    with check("a table that changes beneath prepared statements"):
        with engine.begin() as connection:
            connection.execute(text("drop table if exists sqlalchemy_changing"))
            connection.execute(text("create table sqlalchemy_changing as select 1 as a"))
        query = text("select * from sqlalchemy_changing")
        for column in ["a", "b", "c"]:
            if column != "a":
                with engine.begin() as connection:
                    connection.execute(text(f"alter table sqlalchemy_changing add {column} int"))
            connections = [engine.connect() for _ in range(3)]
            for connection in connections:
                same(column, list(connection.execute(query).keys())[-1])
                connection.close()
        with engine.begin() as connection:
            connection.execute(text("drop table sqlalchemy_changing"))
    engine.dispose()


def check_sessions():
    with check("isolation levels, by engine and by connection, and no trace of them afterwards"):
        for level in ["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"]:
            engine = create_engine(URL, isolation_level=level, pool_size=1)
            with engine.connect() as connection:
                same(level.lower(), connection.scalar(text("show transaction_isolation")))
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("set statement_timeout = '55s'"))
                same("55s", connection.scalar(text("show statement_timeout")))
            engine.dispose()
        engine = create_engine(URL)
        with engine.connect() as connection:
            same("read committed", connection.scalar(text("show transaction_isolation")))
            same("0", connection.scalar(text("show statement_timeout")))
        engine.dispose()
    with check("a connection that ended while it lay in the pool is replaced"):
        engine = create_engine(URL, pool_size=1, max_overflow=0, pool_pre_ping=True)
        opened = []
        event.listen(engine, "connect", lambda connection, _: opened.append(connection))
        for _ in range(3):
            with engine.connect() as connection:
                same(1, connection.scalar(text("select 1")))
            opened[-1].close()
        same(3, len(opened))
        engine.dispose()
    with check("a backend that is terminated within a transaction: the next one has another"):
        engine, other = create_engine(URL, pool_size=1), create_engine(URL, pool_size=1)
        with engine.connect() as connection:
            pid = connection.scalar(text("select pg_backend_pid()"))
            with other.connect() as killer:
                same(True, killer.scalar(text("select pg_terminate_backend(:pid)"), {"pid": pid}))
            try:
                connection.execute(text("select 1"))
                raise AssertionError("a transaction outlived its backend")
            except OperationalError:
                connection.rollback()
        with engine.connect() as connection:
            same(True, connection.scalar(text("select pg_backend_pid()")) != pid)
        engine.dispose()
        other.dispose()


def check_cancelling(engine):
    with check("cancel ends a statement, and the pool's connection goes on"):
        with engine.connect() as connection:
            pid = connection.scalar(text("select pg_backend_pid()"))
            thread = threading.Thread(target=cancel_when_it_sleeps, args=(engine, connection, pid))
            thread.start()
            refused(OperationalError, "57014", lambda: connection.execute(text("select pg_sleep(300)")))
            thread.join()
            connection.rollback()
            same(1, connection.scalar(text("select 1")))


def cancel_when_it_sleeps(engine, connection, pid):
    deadline = time.monotonic() + PATIENCE
    asleep = text("select count(*) from pg_stat_activity where pid = :pid and wait_event = 'PgSleep'")
    with engine.connect() as watcher:
        while watcher.scalar(asleep, {"pid": pid}) == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
    connection.connection.driver_connection.cancel_safe()


def check_concurrency():
    engine = create_engine(URL, pool_size=30, max_overflow=0)
    with check("thirty threads and their connections at work at once"):
        def work(number):
            for round in range(20):
                with engine.begin() as connection:
                    value = number * 1000 + round
                    same(value, connection.scalar(text("select cast(:value as int)"), {"value": value}))
                    same(value, connection.scalar(text("select cast(:value as int)"), {"value": value}))
            return number
        with ThreadPoolExecutor(30) as workers:
            same(list(range(30)), list(workers.map(work, range(30))))
    engine.dispose()


def main():
    print("SQLAlchemy", sqlalchemy.__version__)
    engine = create_engine(URL, pool_size=3, max_overflow=2)
    check_orm(engine)
    check_core(engine)
    check_changes()
    check_sessions()
    check_cancelling(engine)
    check_concurrency()
    Base.metadata.drop_all(engine)
    engine.dispose()


main()
