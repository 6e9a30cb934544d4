//! `tenantry gateway`: runs one, and shows those that run.

use super::serve::ServeCommand;
use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::Column;

const COLUMNS: &[Column] = &[
    ("GATEWAY", "/name"),
    ("NUMBER", "/number"),
    ("REGION", "/region"),
    ("ADDRESS", "/address"),
    ("LIVE", "/live"),
    ("REVISION", "/applied_revision"),
    ("HEARTBEAT", "/heartbeat_at"),
];

/// Run a gateway, or look after those that run
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct GatewayCommand {
    #[command(flatten)]
    serve: Option<ServeCommand>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the gateways that gave a sign of life within the last hour
    List,
}

impl GatewayCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        match (self.verb, self.serve) {
            (Some(Verb::List), _) => {
                let gateways = options.client()?.list(&path(&["gateways"])).await?;
                options.output.listing(&gateways, COLUMNS, "no gateway gave a sign of life lately")
            }
            (None, Some(serve)) => serve.gateway().await,
            (None, None) => {
                Err(CommandError::new(crate::exit::Exit::Usage, "a gateway needs its configuration")
                    .hint("name the file with --config"))
            }
        }
    }
}
