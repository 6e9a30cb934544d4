//! `tenantry feature`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::{CommandError, Exit};
use crate::output::Column;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tenancy::{FeatureName, PlanName};

const COLUMNS: &[Column] = &[
    ("FEATURE", "/name"),
    ("DEFAULT", "/default"),
    ("PERCENTAGE", "/percentage"),
    ("PLANS", "/plans"),
    ("DESCRIPTION", "/description"),
];

const TENANT_COLUMNS: &[Column] =
    &[("FEATURE", "/feature"), ("ENABLED", "/enabled"), ("REASON", "/reason"), ("EXPIRES", "/expires_at")];

const SAID_COLUMNS: &[Column] =
    &[("FEATURE", "/feature"), ("ENABLED", "/enabled"), ("EXPIRES", "/expires_at")];

/// What can be done with features.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum FeatureCommand {
    /// Register a feature
    Create {
        /// The name to give it
        name: FeatureName,
        #[command(flatten)]
        settings: Settings,
    },
    /// List all features
    List,
    /// Show one feature
    Get {
        /// Its name
        name: FeatureName,
    },
    /// Change a feature, at once and for all tenants
    Set {
        /// Its name
        name: FeatureName,
        #[command(flatten)]
        settings: Settings,
    },
    /// Remove a feature, with all that was said of it
    Delete {
        /// Its name
        name: FeatureName,
    },
    /// Show what a tenant has, and why
    Of {
        /// The tenant's slug or id
        tenant: String,
    },
    /// Give a feature to one tenant, whatever its plan says
    Give(Said),
    /// Take a feature from one tenant, whatever its plan says
    Take(Said),
    /// Leave it to the tenant's plan and the feature's own settings again
    Clear {
        /// The tenant's slug or id
        tenant: String,
        /// The feature's name
        name: FeatureName,
    },
}

/// Who has a feature.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// What it is, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Whether tenants have it of whom nothing else is said
    #[arg(long, value_name = "TRUE|FALSE")]
    default: Option<bool>,
    /// The part of tenants that has it all the same
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    percentage: Option<u8>,
    /// A plan that has it; again for others
    #[arg(long = "plan-on", value_name = "PLAN")]
    plans_on: Vec<PlanName>,
    /// A plan that does not have it; again for others
    #[arg(long = "plan-off", value_name = "PLAN")]
    plans_off: Vec<PlanName>,
    /// A plan of which nothing is to be said any more; again for others
    #[arg(long = "plan-clear", value_name = "PLAN")]
    plans_clear: Vec<PlanName>,
}

/// What is said of one tenant.
#[derive(Debug, clap::Args)]
pub(crate) struct Said {
    /// The tenant's slug or id
    tenant: String,
    /// The feature's name
    name: FeatureName,
    /// From when on this says nothing
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

impl Settings {
    fn fields(&self) -> Map<String, Value> {
        let mut plans = Map::new();
        for (all, said) in
            [(&self.plans_on, json!(true)), (&self.plans_off, json!(false)), (&self.plans_clear, Value::Null)]
        {
            plans.extend(all.iter().map(|plan| (plan.to_string(), said.clone())));
        }
        let plans = (!plans.is_empty()).then_some(Value::Object(plans));
        let all = [
            ("description", self.description.as_ref().map(|text| json!(text))),
            ("default", self.default.map(|default| json!(default))),
            ("percentage", self.percentage.map(|percentage| json!(percentage))),
            ("plans", plans),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

impl FeatureCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        let feature = match self {
            Self::Of { tenant } => {
                let all = client.list(&path(&["tenants", &tenant, "features"])).await?;
                return options.output.listing(&all, TENANT_COLUMNS, "there are no features");
            }
            Self::Give(said) => return said.say(options, true).await,
            Self::Take(said) => return said.say(options, false).await,
            Self::Clear { tenant, name } => {
                let path = path(&["tenants", &tenant, "features", name.as_str()]);
                let said = client.change(Method::DELETE, &path, None).await?;
                return options.output.item(&said, SAID_COLUMNS);
            }
            Self::List => {
                let all = client.list(&path(&["features"])).await?;
                return options.output.listing(&all, COLUMNS, "there are no features");
            }
            Self::Get { name } => client.get(&path(&["features", name.as_str()])).await?,
            Self::Create { name, settings } => {
                let mut body = settings.fields();
                body.insert("name".to_owned(), json!(name));
                client.change(Method::POST, &path(&["features"]), Some(&Value::Object(body))).await?
            }
            Self::Set { name, settings } => {
                let body = settings.fields();
                if body.is_empty() {
                    return Err(
                        CommandError::new(Exit::Usage, "there is nothing to change").hint("see --help")
                    );
                }
                let path = path(&["features", name.as_str()]);
                client.change(Method::PATCH, &path, Some(&Value::Object(body))).await?
            }
            Self::Delete { name } => {
                client.change(Method::DELETE, &path(&["features", name.as_str()]), None).await?
            }
        };
        options.output.item(&feature, COLUMNS)
    }
}

impl Said {
    async fn say(&self, options: &Options, enabled: bool) -> Result<(), CommandError> {
        let path = path(&["tenants", &self.tenant, "features", self.name.as_str()]);
        let mut body = json!({ "enabled": enabled });
        if let Some(end) = &self.expires_at {
            body["expires_at"] = json!(end);
        }
        let said = options.client()?.change(Method::PUT, &path, Some(&body)).await?;
        options.output.item(&said, SAID_COLUMNS)
    }
}
