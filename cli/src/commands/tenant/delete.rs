//! `tenantry tenant delete`.

use super::{STARTED, operation_id};
use crate::client::{Client, path};
use crate::exit::{CommandError, Exit};
use crate::output::{self, Column, Format};
use crate::progress;
use reqwest::Method;
use serde_json::Value;
use std::io::{BufRead, IsTerminal, Write};

const STEPS: &[Column] = &[("STEP", "/name"), ("WHAT HAPPENS", "/description")];

/// A tenant to be deleted for good.
#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// Its slug or id
    tenant: String,
    /// Delete at once; there is no undo window yet, so this is what happens in any case
    #[arg(long)]
    now: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    /// Show what would happen, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Return at once instead of waiting until everything is gone
    #[arg(long)]
    no_wait: bool,
}

impl Delete {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<(), CommandError> {
        let resource = path(&["tenants", &self.tenant]);
        if self.dry_run {
            let plan = client.change(Method::DELETE, &format!("{resource}?dry_run=true"), None).await?;
            return show_plan(&plan, format);
        }
        if !self.yes {
            let tenant = client.get(&resource).await?;
            confirm(&output::cell(&tenant, "/slug"))?;
        }
        let started = client.change(Method::DELETE, &resource, None).await?;
        if self.no_wait {
            return format.item(&started, STARTED);
        }
        let operation = progress::follow(client, operation_id(&started)?).await?;
        match format {
            Format::Json => output::json(&operation),
            Format::Table => output::print(&format!("{} is gone\n", self.tenant)),
        }
    }
}

fn show_plan(plan: &Value, format: Format) -> Result<(), CommandError> {
    if format == Format::Json {
        return output::json(plan);
    }
    let steps = plan.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
    format.listing(&steps, STEPS, "nothing would happen")
}

/// Asks for the slug, which nobody types by accident.
fn confirm(slug: &str) -> Result<(), CommandError> {
    let refused = |message: &str| CommandError::new(Exit::NotConfirmed, message);
    if !std::io::stdin().is_terminal() {
        return Err(refused("deleting a tenant must be confirmed, and there is nobody to ask")
            .hint("say --yes, or look first with --dry-run"));
    }
    eprint!("This drops the database of {slug} at once, and there is no way back. Type {slug} to go on: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == slug { Ok(()) } else { Err(refused("not confirmed, nothing has been done")) }
}
