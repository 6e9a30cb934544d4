//! `tenantry gateway`: runs one, shows those that run, and forgets those that are gone for good.

use super::serve::ServeCommand;
use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::{self, Column, Format, cell};
use reqwest::Method;
use serde_json::{Value, json};

const COLUMNS: &[Column] = &[
    ("GATEWAY", "/name"),
    ("NUMBER", "/number"),
    ("REGION", "/region"),
    ("ADDRESS", "/address"),
    ("LIVE", "/live"),
    ("REVISION", "/applied_revision"),
    ("HEARTBEAT", "/heartbeat_at"),
    ("SHARES", "/shown_shares"),
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
    /// Forget a gateway that is gone for good: what is kept for it of connection budgets is others' at once
    Forget {
        /// Its name, for all runs of it, or the id of one
        gateway: String,
        /// Also if it gave a sign of life lately
        #[arg(long)]
        force: bool,
    },
}

impl GatewayCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        match (self.verb, self.serve) {
            (Some(Verb::List), _) => {
                let mut gateways = options.client()?.list(&path(&["gateways"])).await?;
                if options.output == Format::Table {
                    gateways.iter_mut().for_each(tell_shares);
                }
                options.output.listing(&gateways, COLUMNS, "no gateway gave a sign of life lately")
            }
            (Some(Verb::Forget { gateway, force }), _) => forget(options, &gateway, force).await,
            (None, Some(serve)) => serve.gateway().await,
            (None, None) => {
                Err(CommandError::new(crate::exit::Exit::Usage, "a gateway needs its configuration")
                    .hint("name the file with --config"))
            }
        }
    }
}

async fn forget(options: &Options, gateway: &str, force: bool) -> Result<(), CommandError> {
    let path = format!("{}?force={force}", path(&["gateways", gateway]));
    let outcome = options.client()?.change(Method::DELETE, &path, None).await?;
    if options.output == Format::Json {
        return output::json(&outcome);
    }
    let told = |list: &str, ending: &str| -> String {
        let gateways = outcome[list].as_array().into_iter().flatten();
        let tell = |of| format!("gateway {} ({}) {ending}\n", cell(of, "/name"), cell(of, "/id"));
        gateways.map(tell).collect()
    };
    output::print(&(told("forgotten", "is forgotten") + &told("living", "is alive and was left alone")))
}

/// In one cell: what it may hold of each cluster's budget.
fn tell_shares(gateway: &mut Value) {
    let shares = gateway["shares"].as_array().into_iter().flatten();
    let told: Vec<String> =
        shares.map(|share| format!("{}={}", cell(share, "/cluster"), cell(share, "/share"))).collect();
    gateway["shown_shares"] = json!(told);
}
