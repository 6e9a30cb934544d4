//! Whoever is refused does not learn which tenants there are.

use crate::axes::{Case, Combination, Kind};
use crate::combinations::AT_ONCE;
use crate::disagreements;
use crate::world::World;
use crate::{Answer, Visit};
use futures_util::{StreamExt, stream};
use std::collections::HashMap;
use tenancy::Source;

/// Does the place itself tell whether it is somebody's? A domain that is nobody's names no tenant, as the address of a
/// gateway names none; that it leads somewhere stands in the name servers of the whole world.
fn is_public(source: Source) -> bool {
    source == Source::CustomDomain
}

/// Somebody's good credential, at another tenant and at none: the same answer, to the byte.
pub(crate) fn owners_learn_nothing_of_others(answers: &HashMap<Combination, Answer>) -> Vec<String> {
    let of_others = answers.iter().filter(|(combination, _)| {
        // Whom it may act for is no secret to a service that may act for all.
        combination.case == Case::Other
            && combination.kind != Kind::ServiceForAll
            && !is_public(combination.source)
    });
    let differs = |(combination, at_other): (&Combination, &Answer)| {
        let at_none = answers.get(&Combination { case: Case::Unknown, ..*combination })?;
        (at_none != at_other).then(|| {
            format!("{} is told apart from an unknown one: {at_other:?}, {at_none:?}", combination.in_words())
        })
    };
    of_others.filter_map(differs).collect()
}

/// A credential that is made up, at tenants that there are, are suspended, were purged and never were: the same answer.
pub(crate) async fn strangers_learn_nothing(world: &World) -> Vec<String> {
    let combinations = Combination::all().filter(|one| {
        let case = if one.kind == Kind::Nothing { Case::Right } else { Case::Wrong };
        one.case == case && one.is_possible()
    });
    let told: Vec<Option<String>> = stream::iter(combinations)
        .map(|one| told_apart(world, one))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    told.into_iter().flatten().collect()
}

async fn told_apart(world: &World, combination: Combination) -> Option<String> {
    let Combination { way, source, kind, .. } = combination;
    let expected = crate::knock(world, combination).await;
    for case in [Case::Other, Case::Suspended, Case::Purged, Case::Unknown] {
        if is_public(source) && matches!(case, Case::Purged | Case::Unknown) {
            continue;
        }
        let named = World::named(case);
        let proof = match (source, kind) {
            (Source::Token, Kind::Token | Kind::OwnToken) => world.made_up_token(kind, named.as_ref()),
            _ => world.proof(combination),
        };
        let answer = Visit { way, names: vec![(source, named)], proof }.pay().await;
        if answer != expected {
            let words = combination.in_words();
            return Some(format!(
                "a stranger is told {} apart, {words}: {expected:?}, {answer:?}",
                case.as_str()
            ));
        }
    }
    None
}

/// Whoever names two tenants and has nothing to show is told that they are two, whichever of them there are.
pub(crate) async fn strangers_learn_nothing_by_two_names(world: &World) -> Vec<String> {
    let kinds = [Kind::Nothing, Kind::Password];
    let strangers = disagreements::pairs().flat_map(|(way, first, second)| {
        let names_of_ours = !is_public(first) && !is_public(second);
        kinds.into_iter().filter(move |_| names_of_ours).map(move |kind| (way, first, second, kind))
    });
    let told = stream::iter(strangers).map(|(way, first, second, kind)| async move {
        let visit = |at_first, at_second| Visit {
            way,
            names: vec![(first, World::named(at_first)), (second, World::named(at_second))],
            proof: world.proof(Combination { way, source: first, kind, case: Case::Wrong }),
        };
        let expected = visit(Case::Right, Case::Other).pay().await;
        for (at_first, at_second) in [
            (Case::Right, Case::Unknown),
            (Case::Unknown, Case::Right),
            (Case::Suspended, Case::Right),
            (Case::Right, Case::Purged),
            (Case::Unknown, Case::Purged),
        ] {
            let answer = visit(at_first, at_second).pay().await;
            if answer != expected {
                let words = format!("{} {first} {second} {}", way.as_str(), kind.as_str());
                let cases = format!("{} and {}", at_first.as_str(), at_second.as_str());
                return Some(format!("a stranger is told {cases} apart, {words}: {expected:?}, {answer:?}"));
            }
        }
        None
    });
    told.buffer_unordered(AT_ONCE).filter_map(async |told| told).collect().await
}
