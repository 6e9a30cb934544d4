//! What a person sees when the stack is up.

use super::Stack;
use std::fmt::Write;

/// Says what runs where, and what to type next.
#[must_use]
pub fn start_screen(stack: &Stack, program: &str) -> String {
    let about = stack.descriptor();
    let mut screen = String::new();
    let clusters: Vec<String> = about
        .clusters
        .iter()
        .map(|cluster| format!("{} (region {})", cluster.name, cluster.region))
        .collect();
    let lines = [
        ("PostgreSQL clients", about.gateway.pg.clone()),
        ("SQL over HTTP", format!("{}/sql", about.gateway.http)),
        ("Console", about.gateway.console.clone()),
        ("Metrics", format!("{}/metrics", about.gateway.admin)),
        ("Control plane", about.control_plane.clone()),
        ("Clusters", format!("{}, PostgreSQL {}", clusters.join(", "), stack.postgres_version())),
        ("Data and logs", stack.data_dir().display().to_string()),
    ];
    let _ = writeln!(screen, "\nTenantry is running.\n");
    for (what, place) in lines {
        let _ = writeln!(screen, "  {what:<20}{place}");
    }
    let _ = writeln!(screen, "\nIn another terminal:\n");
    for (command, purpose) in [
        ("tenant create acme --region eu", "make a tenant, see how to reach it"),
        ("tenant list", "see all tenants"),
        ("tenant delete acme", "delete it and its database"),
        ("--help", "see the rest"),
    ] {
        let _ = writeln!(screen, "  {:<60} # {purpose}", format!("{program} {command}"));
    }
    let _ = write!(screen, "\nCtrl-C stops everything.");
    screen
}
