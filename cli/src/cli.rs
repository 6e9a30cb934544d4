//! The command line.

use crate::client::{Client, EndpointOptions};
use crate::commands;
use crate::exit::CommandError;
use crate::output::Format;
use clap::{Parser, Subcommand};

/// One address in front of many PostgreSQL databases, and the control plane that makes them
#[derive(Debug, Parser)]
#[command(name = "tenantry", version, max_term_width = 100)]
#[command(after_help = "Exit codes and examples: docs/cli.md")]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How results are printed
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) endpoint: EndpointOptions,
}

impl Options {
    /// A client of the control plane that the options lead to.
    pub(crate) fn client(&self) -> Result<Client, CommandError> {
        Ok(Client::new(&self.endpoint.find()?)?)
    }

    /// A client of what is open to everybody there.
    pub(crate) fn public_client(&self) -> Result<Client, CommandError> {
        Ok(Client::new(&self.endpoint.find_public()?)?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: catalog, two regions, control plane, gateway
    Dev(commands::dev::DevCommand),
    /// Run a gateway, or list those that run
    Gateway(commands::gateway::GatewayCommand),
    /// Run a control plane
    ControlPlane(commands::serve::ServeCommand),
    /// Look after the catalog's schema
    #[command(subcommand)]
    Catalog(commands::catalog::CatalogCommand),
    /// Regions, where clusters stand
    #[command(subcommand)]
    Region(commands::region::RegionCommand),
    /// Clusters, the PostgreSQL servers that hold tenants
    #[command(subcommand)]
    Cluster(commands::cluster::ClusterCommand),
    /// Plans, what tenants buy
    #[command(subcommand)]
    Plan(commands::plan::PlanCommand),
    /// Features, what tenants may use
    #[command(subcommand)]
    Feature(commands::feature::FeatureCommand),
    /// Addresses that a tenant may be reached from
    #[command(subcommand)]
    AllowList(commands::allow_list::AllowListCommand),
    /// Tenants
    #[command(subcommand)]
    Tenant(commands::tenant::TenantCommand),
    /// Passwords and API keys of a tenant
    #[command(subcommand)]
    Credential(commands::credential::CredentialCommand),
    /// Domains of a tenant's own
    #[command(subcommand)]
    Domain(commands::domain::DomainCommand),
    /// Keys of programs that act for tenants
    #[command(subcommand)]
    ServiceCredential(commands::service_credential::ServiceCredentialCommand),
    /// Identity providers whose tokens open tenants
    #[command(subcommand)]
    Issuer(commands::issuer::IssuerCommand),
    /// People who may sign in
    #[command(subcommand)]
    User(commands::user::UserCommand),
    /// Members of a tenant, and their roles
    #[command(subcommand)]
    Member(commands::member::MemberCommand),
    /// Roles of a tenant's own
    #[command(subcommand)]
    Role(commands::role::RoleCommand),
    /// Invites to join a tenant
    #[command(subcommand)]
    Invite(commands::invite::InviteCommand),
    /// Sign in as a person, and get tokens for tenants' databases
    #[command(subcommand)]
    Session(commands::session::SessionCommand),
    /// Keys that sign gateway tokens
    #[command(subcommand)]
    SigningKey(commands::signing_key::SigningKeyCommand),
    /// Operations, the work that takes time
    #[command(subcommand)]
    Operation(commands::operation::OperationCommand),
    /// The gateway's console for operators
    #[command(subcommand)]
    Console(commands::console::ConsoleCommand),
    /// Print a completion script for a shell
    Completions(commands::completions::CompletionsCommand),
    /// Print the control plane's OpenAPI document
    Openapi,
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When it cannot be done; the error knows the exit code.
    pub async fn run(self) -> Result<(), CommandError> {
        let options = &self.options;
        match self.command {
            Command::Dev(command) => command.run(options).await,
            Command::Gateway(command) => command.run(options).await,
            Command::ControlPlane(command) => command.control_plane().await,
            Command::Catalog(command) => command.run(options).await,
            Command::Region(command) => command.run(options).await,
            Command::Cluster(command) => command.run(options).await,
            Command::Plan(command) => command.run(options).await,
            Command::Feature(command) => command.run(options).await,
            Command::AllowList(command) => command.run(options).await,
            Command::Tenant(command) => command.run(options).await,
            Command::Credential(command) => command.run(options).await,
            Command::Domain(command) => command.run(options).await,
            Command::ServiceCredential(command) => command.run(options).await,
            Command::Issuer(command) => command.run(options).await,
            Command::User(command) => command.run(options).await,
            Command::Member(command) => command.run(options).await,
            Command::Role(command) => command.run(options).await,
            Command::Invite(command) => command.run(options).await,
            Command::Session(command) => command.run(options).await,
            Command::SigningKey(command) => command.run(options).await,
            Command::Operation(command) => command.run(options).await,
            Command::Console(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Openapi => crate::output::print(&(control_plane::openapi() + "\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
