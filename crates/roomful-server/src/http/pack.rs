//! A page's modules as one file, and its style sheets as another: compressed together they are half as large, and a page
//! is there after a handful of requests.
//!
//! `/assets/room.pack/room.js` is `room.js` with everything it imports; each module keeps a scope of its own.
//! `/assets/room.pack/menu.js` is what `room.js` loads later, with what it needs besides: a module is there once, however
//! it was reached. What two later parts share and the first does not have, each has for itself.
//!
//! ```text
//! const $0=await(async()=>{ … return{h,byId}})();        dom.js
//! const $1=await(async()=>{const{h}=$0; … return{}})();  room.js, which imports it
//! export{$0,$1};
//! ```
//!
//! The files are written for this: imports and exports by name, at the beginning of a line, and no circles.

use std::fmt::Write as _;

use super::bare;

/// What a browser asks for below `/assets/`, where it is part of a pack: the page's name, and the file.
pub(super) fn parts(path: &str) -> Option<(&str, &str)> {
    path.split_once(".pack/")
}

/// Reads a file of the page.
pub(super) trait Read: Fn(&str) -> Option<String> {}
impl<F: Fn(&str) -> Option<String>> Read for F {}

/// A style sheet with those it imports in their places.
pub(super) fn style(path: &str, read: &impl Read) -> Result<String, String> {
    let source = read(path).ok_or_else(|| format!("there is no {path}"))?;
    let mut out = String::new();
    for line in bare::style(&source).lines() {
        match quoted(line).filter(|_| line.starts_with("@import ")) {
            Some(other) => out.push_str(&style(&resolve(path, other)?, read)?),
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    Ok(out)
}

/// `file` with what it imports and the page's own script has not.
pub(super) fn script(page: &str, file: &str, read: &impl Read) -> Result<String, String> {
    let mut modules = Vec::new();
    let entry = format!("{page}.js");
    collect(&entry, read, &mut modules, &mut Vec::new())?;
    let shared = modules.len();
    if file != entry {
        collect(file, read, &mut modules, &mut Vec::new())?;
        if modules.len() == shared {
            return Err(format!("{file} is in the first part already"));
        }
    }
    Ok(written(
        page,
        &modules,
        if file == entry { 0 } else { shared },
    ))
}

struct Module {
    path: String,
    /// What is taken by name, and from which file.
    imports: Vec<(String, String)>,
    exports: Vec<String>,
    body: String,
}

/// Each module after those it imports.
fn collect(
    path: &str,
    read: &impl Read,
    into: &mut Vec<Module>,
    above: &mut Vec<String>,
) -> Result<(), String> {
    if into.iter().any(|module| module.path == path) {
        return Ok(());
    }
    if above.iter().any(|other| other == path) {
        return Err(format!("{path} imports itself in a circle"));
    }
    let source = read(path).ok_or_else(|| format!("there is no {path}"))?;
    let module = parse(path, &source)?;
    above.push(path.to_owned());
    for (_, other) in &module.imports {
        collect(other, read, into, above)?;
    }
    above.pop();
    into.push(module);
    Ok(())
}

fn parse(path: &str, source: &str) -> Result<Module, String> {
    let mut module = Module {
        path: path.to_owned(),
        imports: Vec::new(),
        exports: Vec::new(),
        body: String::new(),
    };
    let unknown = |line: &str| format!("{path}: a pack does not know how to read `{line}`");
    let text = bare::script(source);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if ["import{", "import ", "import\""]
            .iter()
            .any(|from| line.starts_with(from))
        {
            let mut statement = line.to_owned();
            while !statement.ends_with(';') {
                statement.push_str(lines.next().ok_or_else(|| unknown(line))?);
            }
            let names = between(&statement, "import{", "}from").ok_or_else(|| unknown(line))?;
            let other = quoted(&statement).ok_or_else(|| unknown(line))?;
            let names = names.trim().trim_end_matches(',').replace(" as ", ":");
            module.imports.push((names, resolve(path, other)?));
        } else if line == "export{};" {
            // It says that the file is a module, though it has nothing to give.
        } else if let Some(declaration) = line.strip_prefix("export") {
            let declaration = declaration.trim_start();
            let kinds = ["class ", "const ", "function ", "async function "];
            let rest = kinds.iter().find_map(|kind| declaration.strip_prefix(kind));
            let end = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let name = rest.and_then(|rest| Some(&rest[..end(rest)?]));
            let name = name.filter(|name| !name.is_empty());
            module
                .exports
                .push(name.ok_or_else(|| unknown(line))?.to_owned());
            module.body.push_str(declaration);
            module.body.push('\n');
        } else {
            module.body.push_str(line);
            module.body.push('\n');
        }
    }
    Ok(module)
}

/// The modules from `first` on; those before it are in the file that the page began with.
fn written(page: &str, modules: &[Module], first: usize) -> String {
    let number = |path: &str| modules.iter().position(|module| module.path == path);
    let mut out = String::new();
    let used = modules[first..].iter().flat_map(|module| &module.imports);
    let mut taken: Vec<_> = used.filter_map(|(_, path)| number(path)).collect();
    taken.retain(|index| *index < first);
    taken.sort_unstable();
    taken.dedup();
    if !taken.is_empty() {
        let _ = writeln!(
            out,
            "import{{{}}}from\"/assets/{page}.pack/{page}.js\";",
            names(taken)
        );
    }
    for (index, module) in modules.iter().enumerate().skip(first) {
        let _ = writeln!(out, "const ${index}=await(async()=>{{");
        for (names, path) in &module.imports {
            let _ = writeln!(out, "const{{{names}}}=${};", number(path).unwrap_or(index));
        }
        out.push_str(&with_later_parts(page, module));
        let _ = writeln!(out, "return{{{}}}}})();", module.exports.join(","));
    }
    if first == 0 {
        let _ = writeln!(out, "export{{{}}};", names(0..modules.len()));
    } else if let Some(last) = modules.last() {
        let _ = writeln!(
            out,
            "export const{{{}}}=${};",
            last.exports.join(","),
            modules.len() - 1
        );
    }
    out
}

fn names(numbers: impl IntoIterator<Item = usize>) -> String {
    let names: Vec<_> = numbers
        .into_iter()
        .map(|number| format!("${number}"))
        .collect();
    names.join(",")
}

/// What is loaded later comes from the same pack.
fn with_later_parts(page: &str, module: &Module) -> String {
    const CALL: &str = "import(\"";
    let mut out = String::with_capacity(module.body.len());
    let mut rest = module.body.as_str();
    while let Some((before, after)) = rest.split_once(CALL) {
        let (path, after) = after.split_once('"').unwrap_or((after, ""));
        let _ = match resolve(&module.path, path) {
            Ok(path) => write!(out, "{before}{CALL}/assets/{page}.pack/{path}\""),
            Err(_) => write!(out, "{before}{CALL}{path}\""),
        };
        rest = after;
    }
    out.push_str(rest);
    out
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0)
}

fn quoted(statement: &str) -> Option<&str> {
    between(statement, "\"", "\"")
}

/// Where `./other.js` leads from a file.
fn resolve(from: &str, other: &str) -> Result<String, String> {
    let mut folders: Vec<_> = from.split('/').collect();
    folders.pop();
    for part in other.split('/') {
        match part {
            "." => {}
            ".." => {
                let above = folders.pop();
                above.ok_or_else(|| format!("{from}: {other} is outside of the page"))?;
            }
            part => folders.push(part),
        }
    }
    if !other.starts_with('.') {
        return Err(format!("{from}: {other} is not a file of the page"));
    }
    Ok(folders.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 6] = [
        (
            "room.js",
            "import {\n  a,\n  b as c,\n} from \"./a.js\";\nimport { d } from \"./sub/d.js\";\nvoid import(\"./late.js\");\nd(a, c);\n",
        ),
        (
            "a.js",
            "export const a = 1;\nexport class b {}\nexport {};\n",
        ),
        (
            "sub/d.js",
            "import { a } from \"../a.js\";\nexport function d() {\n  return import(\"./e.js\");\n}\n",
        ),
        (
            "late.js",
            "import { d } from \"./sub/d.js\";\nimport { own } from \"./own.js\";\nexport async function late() {\n  own(d);\n}\n",
        ),
        ("own.js", "export const own = (x) => x;\n"),
        ("room.css", "@import \"./own.css\";\n.b { color: red; }\n"),
    ];

    fn read(path: &str) -> Option<String> {
        let extra = [
            ("own.css", ".a {}\n"),
            ("round.js", "import { x } from \"./round.js\";\n"),
        ];
        let mut all = FILES.iter().chain(&extra);
        all.find(|(name, _)| *name == path)
            .map(|(_, text)| (*text).to_owned())
    }

    #[test]
    fn the_first_part_has_every_module_once_after_those_it_imports() {
        let pack = script("room", "room.js", &read).unwrap();
        assert_eq!(
            pack,
            "const $0=await(async()=>{\nconst a=1;\nclass b{}\nreturn{a,b}})();\n\
             const $1=await(async()=>{\nconst{a}=$0;\nfunction d(){\nreturn import(\"/assets/room.pack/sub/e.js\");\n}\nreturn{d}})();\n\
             const $2=await(async()=>{\nconst{a,b:c}=$0;\nconst{d}=$1;\nvoid import(\"/assets/room.pack/late.js\");\nd(a,c);\nreturn{}})();\n\
             export{$0,$1,$2};\n"
        );
    }

    #[test]
    fn a_later_part_shares_the_modules_of_the_first() {
        let pack = script("room", "late.js", &read).unwrap();
        assert_eq!(
            pack,
            "import{$1}from\"/assets/room.pack/room.js\";\n\
             const $3=await(async()=>{\nconst own=(x)=>x;\nreturn{own}})();\n\
             const $4=await(async()=>{\nconst{d}=$1;\nconst{own}=$3;\nasync function late(){\nown(d);\n}\nreturn{late}})();\n\
             export const{late}=$4;\n"
        );
        assert!(script("room", "a.js", &read).is_err());
    }

    #[test]
    fn style_sheets_stand_where_they_are_imported() {
        assert_eq!(
            style("room.css", &read).unwrap(),
            ".a{}\n.b{ color:red; }\n"
        );
    }

    #[test]
    fn what_cannot_be_packed_is_said() {
        assert_eq!(
            script("round", "round.js", &read).unwrap_err(),
            "round.js imports itself in a circle"
        );
        assert_eq!(
            script("gone", "gone.js", &read).unwrap_err(),
            "there is no gone.js"
        );
        assert!(parse("x.js", "export default 1;\n").is_err());
        assert!(parse("x.js", "import y from \"./y.js\";\n").is_err());
        assert!(resolve("a.js", "../b.js").is_err());
    }
}
