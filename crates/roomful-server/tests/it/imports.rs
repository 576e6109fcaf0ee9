//! Who imports whom, as ARCHITECTURE.md draws it: read from the sources, so that the drawing stays true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules that each module imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The program around the server, and what puts the server together.
const MAY_READ_CONFIG: [&str; 7] = [
    "app",
    "check",
    "cli",
    "config",
    "layer_tool",
    "logging",
    "main",
];

#[test]
fn transports_reach_rooms_members_and_history_through_chat_alone() {
    let imports = imports();
    for transport in ["http", "room", "status"] {
        let imported = &imports[transport];
        assert!(imported.contains("chat"), "{transport}: {imported:?}");
        for inner in ["history", "presence", "feed"] {
            assert!(!imported.contains(inner), "{transport} imports {inner}");
        }
    }
    assert!(!imports["http"].contains("room"), "http imports room");
    assert!(!imports["room"].contains("http"), "room imports http");
}

#[test]
fn only_app_and_the_program_around_it_read_the_configuration() {
    let readers: Vec<_> = imports()
        .into_iter()
        .filter(|(_, imported)| imported.contains("config"))
        .map(|(module, _)| module)
        .collect();
    assert!(readers.iter().any(|reader| reader == "app"), "{readers:?}");
    for reader in readers {
        assert!(
            MAY_READ_CONFIG.contains(&&*reader),
            "{reader} imports config: let app give it plain values"
        );
    }
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let circle = circle(imports());
    assert!(circle.is_empty(), "a circle is among {circle:#?}");
}

#[test]
fn a_circle_is_found_and_what_leads_to_it_is_not_blamed_on_others() {
    let imports = |edges: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in edges {
            let imported = imports.entry((*from).to_owned()).or_default();
            imported.insert((*to).to_owned());
        }
        imports
    };
    assert!(circle(imports(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let found = circle(imports(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]));
    assert!(found.contains_key("b") && found.contains_key("c"));
    assert!(!found.contains_key("d"));
}

#[test]
fn imports_are_read_from_code_in_every_spelling_and_not_from_comments() {
    let code = "use crate::chat::Chat;\n\
        use crate::{feed, presence::Presence};\n\
        pub(super) use crate::{\n    rate::Rates,\n    node::{Node, group_of},\n};\n\
        let it = crate::history::History::none();\n\
        let other = roomful_server::layer::start();\n\
        // use crate::config::Config;\n\
        let macros = $crate::json;\n";
    let found = imported(code);
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    assert_eq!(
        found,
        [
            "chat", "feed", "history", "layer", "node", "presence", "rate"
        ]
    );
}

/// What every module of the sources imports; `use super::…` stays within a module.
fn imports() -> Imports {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&sources);
    let module_of = |file: &Path| {
        let inside = file.strip_prefix(&sources).unwrap().with_extension("");
        let first = inside.components().next().unwrap();
        first.as_os_str().to_str().unwrap().to_owned()
    };
    let modules: BTreeSet<_> = files.iter().map(|file| module_of(file)).collect();
    let mut imports = Imports::new();
    for file in &files {
        let code = fs::read_to_string(file).unwrap();
        let module = module_of(file);
        assert!(
            module == "lib" || !reaches_the_root(file.strip_prefix(&sources).unwrap(), &code),
            "{} leaves its module by `super::`: write `crate::`",
            file.display()
        );
        let mut imported = imported(&code);
        imported.retain(|name| modules.contains(name) && *name != module);
        imports.entry(module).or_default().extend(imported);
    }
    imports
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules that follow `crate::` or `roomful_server::`, in imports and in paths.
fn imported(code: &str) -> BTreeSet<String> {
    let code: String = code.lines().map(without_comment).collect();
    let mut found = BTreeSet::new();
    for root in ["crate::", "roomful_server::"] {
        for (at, _) in code.match_indices(root) {
            let is_longer =
                code[..at].ends_with(|c: char| c == '$' || c == '_' || c.is_alphanumeric());
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                _ if is_longer => {}
                Some(list) => found.extend(first_names(list)),
                None => found.extend(name(rest)),
            }
        }
    }
    found
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap()
}

/// The name that a path begins with.
fn name(path: &str) -> Option<String> {
    let end = path.find(|c: char| c != '_' && !c.is_alphanumeric());
    let name = &path[..end.unwrap_or(path.len())];
    (!name.is_empty()).then(|| name.to_owned())
}

/// What the paths of a list in braces begin with, up to the brace that ends it.
fn first_names(list: &str) -> Vec<String> {
    let (mut names, mut depth, mut begins) = (Vec::new(), 0_usize, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(name(list[begins..at].trim()));
                begins = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

/// Whether an import of this file goes up by `super::` as far as the root of the crate.
fn reaches_the_root(file: &Path, code: &str) -> bool {
    let depth = file.components().count() - usize::from(file.ends_with("mod.rs"));
    let up = "super::".repeat(depth);
    // Modules inside a file, such as its tests, are indented.
    code.lines()
        .filter(|line| line.starts_with("use ") || line.starts_with("pub"))
        .any(|line| line.contains(&format!("use {up}")))
}

/// What is left of the imports when modules that import nothing of the rest are taken away, again and again: the circles,
/// and what imports them.
fn circle(mut imports: Imports) -> Imports {
    loop {
        let rest: BTreeSet<_> = imports.keys().cloned().collect();
        let before = imports.len();
        imports.retain(|_, imported| {
            imported.retain(|name| rest.contains(name));
            !imported.is_empty()
        });
        if imports.len() == before {
            return imports;
        }
    }
}
