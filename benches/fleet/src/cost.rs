//! What a request costs the client: ours beside a driver's, so that nobody has to believe that ours is the lighter one.

use crate::plan::{Mode, Script};
use crate::target::{Target, TargetError};
use crate::wire::{Keyring, login};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// What to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Cost {
    /// The connection string of a tenant that `setup` has made
    #[arg(long, value_name = "DSN")]
    target: String,
    /// Requests of each client
    #[arg(long, default_value_t = 50_000)]
    requests: u32,
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CostError {
    /// The connection string is of no use.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Our client was refused.
    #[error("the target answers with {0}")]
    Refused(String),
    /// The driver was refused.
    #[error(transparent)]
    Driver(#[from] tokio_postgres::Error),
    /// There is no runtime to be had.
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

impl Cost {
    /// Measures one after the other, each on one connection and one thread.
    ///
    /// # Errors
    /// When the target does not answer.
    pub(crate) fn run(self) -> Result<(), CostError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            for (mode, name) in [(Mode::Simple, "simple"), (Mode::Prepared, "prepared")] {
                let (ours, driver) = (self.ours(mode).await?, self.driver(mode).await?);
                println!(
                    "{name}: {ours:.1} µs of CPU a request, tokio-postgres {driver:.1} µs: {:.2}",
                    ours / driver
                );
            }
            Ok(())
        })
    }

    async fn ours(&self, mode: Mode) -> Result<f64, CostError> {
        let endpoint = Target::Template(self.target.clone()).endpoint(1)?;
        let refused = |failure: crate::wire::Failure| CostError::Refused(failure.code());
        let mut wire = login(&endpoint, &Keyring::default()).await.map_err(refused)?;
        let before = cpu_micros();
        for request in 0..self.requests {
            wire.run(Script::Select, mode, request % crate::world::ROWS + 1).await.map_err(refused)?;
        }
        Ok(self.each(cpu_micros() - before))
    }

    async fn driver(&self, mode: Mode) -> Result<f64, CostError> {
        let (client, connection) = tokio_postgres::connect(&self.target, NoTls).await?;
        let connection = tokio::spawn(connection);
        let before = cpu_micros();
        let outcome = self.ask_driver(&client, mode).await;
        let used = cpu_micros() - before;
        connection.abort();
        outcome?;
        Ok(self.each(used))
    }

    async fn ask_driver(&self, client: &Client, mode: Mode) -> Result<(), CostError> {
        let statement = client.prepare("select balance from accounts where id = $1").await?;
        for request in 0..self.requests {
            let key = i32::try_from(request % crate::world::ROWS + 1).unwrap_or(1);
            if mode == Mode::Simple {
                let sql = format!("select balance from accounts where id = {key}");
                let _: Vec<SimpleQueryMessage> = client.simple_query(&sql).await?;
            } else {
                client.query(&statement, &[&key]).await?;
            }
        }
        Ok(())
    }

    fn each(&self, micros: i64) -> f64 {
        let micros = u64::try_from(micros).unwrap_or(0);
        crate::report::number(micros) / f64::from(self.requests.max(1))
    }
}

fn cpu_micros() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD)
        .map_or(0, |usage| (usage.user_time() + usage.system_time()).num_microseconds())
}
