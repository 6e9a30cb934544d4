//! `tenantry signing-key`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::Column;
use reqwest::Method;
use serde_json::json;

const COLUMNS: &[Column] = &[
    ("KEY", "/id"),
    ("SIGNS FROM", "/signs_from"),
    ("SIGNS UNTIL", "/signs_until"),
    ("BELIEVED UNTIL", "/verifies_until"),
];

/// What can be done with the keys that sign gateway tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SigningKeyCommand {
    /// List the keys whose signatures gateways believe, or will
    List,
    /// Have a new key sign, before the next one would come by itself
    Rotate {
        /// Believe nothing any more that was signed so far: all gateway tokens are refused within a second
        #[arg(long)]
        compromised: bool,
    },
}

impl SigningKeyCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::List => {
                let keys = client.list(&path(&["signing-keys"])).await?;
                options.output.listing(&keys, COLUMNS, "there are no keys yet")
            }
            Self::Rotate { compromised } => {
                let body = json!({ "compromised": compromised });
                let path = path(&["signing-keys", "rotate"]);
                options.output.item(&client.change(Method::POST, &path, Some(&body)).await?, COLUMNS)
            }
        }
    }
}
