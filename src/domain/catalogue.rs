//! The catalogue: every resource and action that a scope can name. It is data, in this one place;
//! validation, `GET /v1/scopes` and the route table's test all read it. Add your own product's here.

use super::scope::Scope;

/// A resource and what can be done with it.
pub struct Resource {
    /// The part of a scope before the colon.
    pub name: &'static str,
    /// The actions, each with what it allows.
    pub actions: &'static [(&'static str, &'static str)],
}

/// The action of every scope that only reads.
pub const READ: &str = "read";

/// Every resource.
pub const CATALOGUE: &[Resource] = &[
    Resource {
        name: "api-keys",
        actions: &[
            ("read", "List keys, get a key's details and its events"),
            ("write", "Create, change and revoke keys"),
            ("verify", "Ask whether a key is good, and for which scopes"),
        ],
    },
    Resource {
        name: "organization",
        actions: &[("read", "See the organization"), ("write", "Rename the organization")],
    },
    Resource {
        name: "projects",
        actions: &[
            ("read", "List projects, get a project's details"),
            ("write", "Create, change and delete projects, and with them all their keys"),
        ],
    },
    Resource {
        name: "traces",
        actions: &[
            ("read", "List traces with their feedback and evaluation requests"),
            ("write", "Send traces, feedback and evaluation requests"),
        ],
    },
    Resource {
        name: "datasets",
        actions: &[
            ("read", "List datasets, get dataset details, get rows, export"),
            (
                "write",
                "Create, upload, update, delete datasets; manage rows, columns, column roles, and judgment configs",
            ),
        ],
    },
    Resource {
        name: "evaluations",
        actions: &[
            ("read", "List evaluations, get evaluation details, list variants"),
            ("write", "Create, update, delete evaluations; create variants; generate evaluations"),
        ],
    },
    Resource {
        name: "live-evaluations",
        actions: &[
            ("read", "List and view live evaluations"),
            ("write", "Deploy, update, deactivate, activate live evaluations; regenerate keys"),
            ("execute", "Run a live evaluation"),
        ],
    },
    Resource { name: "results", actions: &[("read", "List evaluation runs, get run details")] },
    Resource {
        name: "review",
        actions: &[
            ("read", "List and view review queue items"),
            ("write", "Flag, judge, reject, and promote review items"),
        ],
    },
    Resource {
        name: "error-analysis",
        actions: &[("execute", "Suggest error notes, suggest error categories, consolidate categories")],
    },
];

/// Every scope that the catalogue knows, the wildcards among them.
pub fn names() -> impl Iterator<Item = String> {
    CATALOGUE.iter().flat_map(|resource| {
        let actions = resource.actions.iter().map(|(action, _)| *action).chain(["*"]);
        actions.map(|action| format!("{}:{action}", resource.name))
    })
}

/// Whether the catalogue knows this scope.
pub fn contains(scope: &Scope) -> bool {
    CATALOGUE
        .iter()
        .filter(|resource| resource.name == scope.resource())
        .any(|resource| scope.action() == "*" || resource.actions.iter().any(|(action, _)| *action == scope.action()))
}

/// Every scope of the catalogue that only reads.
pub fn reading() -> impl Iterator<Item = Scope> {
    let all = CATALOGUE.iter().flat_map(|resource| resource.actions.iter().map(move |(action, _)| (resource, action)));
    let reading = all.filter(|(_, action)| **action == READ);
    reading.filter_map(|(resource, action)| Scope::try_from(format!("{}:{action}", resource.name)).ok())
}

#[cfg(test)]
mod tests {
    use super::{CATALOGUE, Scope, contains};

    #[test]
    fn every_entry_is_a_well_formed_scope_that_the_catalogue_contains() {
        for resource in CATALOGUE {
            for action in resource.actions.iter().map(|(action, _)| *action).chain(["*"]) {
                let scope = Scope::try_from(format!("{}:{action}", resource.name)).unwrap();
                assert!(contains(&scope), "{scope}");
            }
        }
        assert!(!contains(&Scope::named("datasets:execute")));
        assert!(!contains(&Scope::named("nothing:*")));
    }
}
